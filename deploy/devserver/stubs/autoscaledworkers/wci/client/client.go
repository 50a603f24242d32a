// Package client tells the server that no cloud scales its workers.
package client

import (
	"context"

	deploymentpb "go.temporal.io/api/deployment/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/server/common/namespace"
	"go.uber.org/fx"

	"go.temporal.io/auto-scaled-workers/wci/workflow/iface"
)

type (
	version = *deploymentpb.WorkerDeploymentVersion
	updates = map[string]iface.ScalingGroupSpecUpdate

	// Client is what the server calls.
	Client interface {
		DescribeWorkerControllerInstance(ctx context.Context, n *namespace.Namespace, v version) (
			*iface.DescribeResponse, []byte, error)
		UpdateWorkerControllerInstance(ctx context.Context, n *namespace.Namespace, v version, token []byte, by string,
			upsert updates, remove []string) (*iface.UpdateResponse, error)
		ValidateWorkerControllerInstanceSpec(ctx context.Context, n *namespace.Namespace, v version, by string,
			upsert updates, remove []string) error
		DeleteWorkerControllerInstance(ctx context.Context, n *namespace.Namespace, v version, by string) error
	}

	none struct{}
)

// Module gives the server a client of nothing.
var Module = fx.Options(fx.Provide(func() Client { return none{} }))

const text = "this server is for development: it scales no workers"

func (none) DescribeWorkerControllerInstance(context.Context, *namespace.Namespace, version) (
	*iface.DescribeResponse, []byte, error) {
	return nil, nil, serviceerror.NewNotFound(text)
}

func (none) UpdateWorkerControllerInstance(context.Context, *namespace.Namespace, version, []byte, string,
	updates, []string) (*iface.UpdateResponse, error) {
	return nil, serviceerror.NewUnimplemented(text)
}

func (none) ValidateWorkerControllerInstanceSpec(context.Context, *namespace.Namespace, version, string,
	updates, []string) error {
	return serviceerror.NewUnimplemented(text)
}

func (none) DeleteWorkerControllerInstance(context.Context, *namespace.Namespace, version, string) error {
	return nil
}
