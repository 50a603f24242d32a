package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/common/testing/freeport"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	loopback    = "127.0.0.1"
	clusterName = "active"
)

// settings differ from the server's own, and yield to --dynamic-config-value.
var settings = map[string]any{
	// It would tell a machine on the internet that it runs here.
	"frontend.enableServerVersionCheck": false,
	// The default of 10 lists a second is for one of many tenants.
	"frontend.namespaceRPS.visibility": 100,
}

type server struct {
	temporal temporal.Server
	ui       *uiserver.Server // nil: none
	level    zap.AtomicLevel
}

func (s *server) stop() error {
	s.level.SetLevel(zap.FatalLevel) // services that stop complain of those already gone
	if s.ui != nil {
		s.ui.Stop()
	}
	return s.temporal.Stop()
}

// start returns once the server and its web page take requests and the search
// attributes are there.
func start(ctx context.Context, opts options) (*server, error) {
	if err := checkPorts(opts); err != nil {
		return nil, err
	}
	logger, level, err := newLogger(opts)
	if err != nil {
		return nil, err
	}
	store, err := openStore(opts)
	if err != nil {
		return nil, err
	}
	services, err := newServices(opts, store, logger)
	if err != nil {
		return nil, fmt.Errorf("cannot set up the server: %w", err)
	}
	s := &server{temporal: services, level: level}
	if err := services.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start the server: %w", err), s.stop())
	}
	if err := addSearchAttributes(ctx, opts); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	if opts.headless {
		return s, nil
	}
	s.ui = newUI(opts)
	go s.ui.Start() // ends the process when it cannot serve
	if err := waitFor(ctx, hostPort(reachable(opts.uiIP), opts.uiPort)); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func waitFor(ctx context.Context, address string) error {
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// checkPorts says in one line what the server would say in a page of stack trace.
func checkPorts(opts options) error {
	type use struct {
		flag, ip string
		port     int
	}
	uses := []use{{"port", opts.ip, opts.port}}
	if opts.httpPort != 0 {
		uses = append(uses, use{"http-port", opts.ip, opts.httpPort})
	}
	if opts.metricsPort != 0 {
		uses = append(uses, use{"metrics-port", opts.ip, opts.metricsPort})
	}
	if !opts.headless {
		uses = append(uses, use{"ui-port", opts.uiIP, opts.uiPort})
	}
	// All are held until the last is checked, so that no two may be the same.
	for _, u := range uses {
		if u.port < 1 || u.port > 65535 {
			return fmt.Errorf("no port has the number %d; give one with --%s", u.port, u.flag)
		}
		listener, err := net.Listen("tcp", hostPort(u.ip, u.port))
		if err != nil {
			return fmt.Errorf("%w; give a free one with --%s", err, u.flag)
		}
		defer listener.Close()
	}
	return nil
}

// openStore creates what is missing of the database, its namespaces included:
// created by way of the running server they would be usable only seconds later.
func openStore(opts options) (*config.SQL, error) {
	store := &config.SQL{PluginName: sqlite.PluginName}
	if opts.dbFile == "" {
		store.DatabaseName = strconv.FormatUint(rand.Uint64(), 36)
		store.ConnectAttributes = map[string]string{"mode": "memory", "cache": "shared"}
	} else {
		if dir, err := os.Stat(filepath.Dir(opts.dbFile)); err != nil || !dir.IsDir() {
			return nil, fmt.Errorf("no folder %s for --db-filename", filepath.Dir(opts.dbFile))
		}
		store.DatabaseName = opts.dbFile
		store.ConnectAttributes = map[string]string{
			"mode": "rwc", "setup": "true",
			// Without these every step of every workflow waits for the disk.
			"journal_mode": "wal", "synchronous": "normal",
		}
	}
	var namespaces []*sqliteschema.NamespaceConfig
	for _, name := range opts.namespaces {
		namespace, err := sqliteschema.NewNamespaceConfig(clusterName, name, false, opts.searchAttributes)
		if err != nil {
			return nil, err
		}
		// The default of a day loses last night's run before anyone looks at it.
		namespace.Detail.Config.Retention = durationpb.New(30 * 24 * time.Hour)
		namespaces = append(namespaces, namespace)
	}
	if err := sqliteschema.CreateNamespaces(store, namespaces...); err != nil {
		return nil, fmt.Errorf("cannot set up the database: %w", err)
	}
	return store, nil
}

func newServices(opts options, store *config.SQL, logger log.Logger) (temporal.Server, error) {
	frontend := config.Service{RPC: config.RPC{BindOnIP: opts.ip, GRPCPort: opts.port, HTTPPort: opts.httpPort}}
	address := hostPort(reachable(opts.ip), opts.port)
	services := map[string]config.Service{string(primitives.FrontendService): frontend}
	hosts := map[primitives.ServiceName]static.Hosts{primitives.FrontendService: static.SingleLocalHost(address)}
	for _, name := range []primitives.ServiceName{
		primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
	} {
		port := freeport.MustGetFreePort()
		services[string(name)] = config.Service{RPC: config.RPC{BindOnIP: loopback, GRPCPort: port}}
		hosts[name] = static.SingleLocalHost(hostPort(loopback, port))
	}

	conf := &config.Config{
		Persistence: config.Persistence{
			DefaultStore:     sqlite.PluginName,
			VisibilityStore:  sqlite.PluginName,
			NumHistoryShards: 1,
			DataStores:       map[string]config.DataStore{sqlite.PluginName: {SQL: store}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: address},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            services,
		PublicClient:        config.PublicClient{HostPort: address},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
	}
	conf.Global.Membership.MaxJoinDuration = 30 * time.Second
	conf.Global.Membership.BroadcastAddress = loopback
	if opts.metricsPort != 0 {
		conf.Global.Metrics = &metrics.Config{Prometheus: &metrics.PrometheusConfig{
			ListenAddress: hostPort(opts.ip, opts.metricsPort),
			HandlerPath:   "/metrics",
		}}
	}

	dynamic := dynamicconfig.StaticClient{}
	for _, values := range []map[string]any{settings, opts.dynamicConfig} {
		for key, value := range values {
			dynamic[dynamicconfig.MakeKey(key)] = value
		}
	}
	return temporal.NewServer(
		temporal.WithConfig(conf),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithDynamicConfigClient(dynamic),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
	)
}

// newLogger returns with the logger the level that can silence it later.
func newLogger(opts options) (log.Logger, zap.AtomicLevel, error) {
	conf := log.Config{Level: opts.logLevel, Format: "console"}
	level := zap.NewAtomicLevelAt(log.ParseZapLevel(opts.logLevel))
	switch opts.logLevel {
	case "debug", "info", "warn", "error":
	case "never":
		conf.Level = "fatal"
		level.SetLevel(zap.FatalLevel)
	default:
		return nil, level, fmt.Errorf("no log level is called %q", opts.logLevel)
	}
	switch opts.logFormat {
	case "text", "pretty":
	case "json":
		conf.Format = "json"
	default:
		return nil, level, fmt.Errorf("no log format is called %q", opts.logFormat)
	}
	return log.NewZapLogger(log.BuildZapLogger(conf).WithOptions(
		zap.IncreaseLevel(level),
		// An error's line says enough; a stack of the server's own functions hides it.
		zap.AddStacktrace(zap.PanicLevel),
	)), level, nil
}

// addSearchAttributes brings the namespaces of an older database file up to date;
// new ones were created with theirs.
func addSearchAttributes(ctx context.Context, opts options) error {
	if opts.dbFile == "" || len(opts.searchAttributes) == 0 {
		return nil
	}
	conn, err := grpc.NewClient(hostPort(reachable(opts.ip), opts.port),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		return err
	}
	defer conn.Close()
	operator := operatorservice.NewOperatorServiceClient(conn)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, namespace := range opts.namespaces {
		there, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
		if err != nil {
			return fmt.Errorf("cannot list the search attributes of %s: %w", namespace, err)
		}
		missing := maps.Clone(opts.searchAttributes)
		for name, want := range opts.searchAttributes {
			has := there.CustomAttributes[name]
			if has == want {
				delete(missing, name)
			} else if has != enumspb.INDEXED_VALUE_TYPE_UNSPECIFIED {
				return fmt.Errorf("search attribute %s of %s is a %s in %s, not a %s", name, namespace, has, opts.dbFile, want)
			}
		}
		if len(missing) == 0 {
			continue
		}
		if _, err := operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
			Namespace: namespace, SearchAttributes: missing,
		}); err != nil {
			return fmt.Errorf("cannot add search attributes to %s: %w", namespace, err)
		}
	}
	return nil
}

func newUI(opts options) *uiserver.Server {
	host := opts.uiIP
	if net.ParseIP(host).To4() == nil {
		host = "[" + host + "]" // it joins host and port with a bare colon
	}
	return uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host:                host,
		Port:                opts.uiPort,
		TemporalGRPCAddress: hostPort(reachable(opts.ip), opts.port),
		DefaultNamespace:    opts.namespaces[min(1, len(opts.namespaces)-1)],
		EnableUI:            true,
		Codec:               uiconfig.Codec{Endpoint: opts.uiCodecEndpoint},
		CORS:                uiconfig.CORS{CookieInsecure: true}, // it is served over plain HTTP
		DisableNewsFetch:    true,                                // nothing leaves the machine
		HideLogs:            true,
	}))
}

// reachable is where to dial what listens on an address, which may be all of them.
func reachable(ip string) string {
	if net.ParseIP(ip).IsUnspecified() {
		return loopback
	}
	return ip
}

func hostPort(ip string, port int) string {
	return net.JoinHostPort(ip, strconv.Itoa(port))
}
