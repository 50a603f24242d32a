package audit

import (
	"context"
	"errors"
	"fmt"

	"harmstack/activities/store"
	"harmstack/activities/trust/sign"
)

const checkpoints = "checkpoints/"

// Keep writes a checkpoint to a second store, which whoever can write to the first should not be able to change. One of
// the same log at the same length is there already.
func Keep(ctx context.Context, url string, keys *sign.Keys, checkpoint []byte) error {
	c, err := keys.OpenCheckpoint(checkpoint)
	if err != nil {
		return err
	}
	second, err := store.Open(ctx, url)
	if err != nil {
		return err
	}
	err = second.CreateOnly(ctx, fmt.Sprintf("%s%s/%010d.txt", checkpoints, c.Origin, c.Size), checkpoint)
	if errors.Is(err, store.ErrExists) {
		err = nil
	}
	return errors.Join(err, second.Close())
}

// Kept are the checkpoints of a second store.
func Kept(ctx context.Context, url string, keys *sign.Keys) (all []sign.Checkpoint, err error) {
	second, err := store.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	defer second.Close()
	files, err := second.List(ctx, checkpoints)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		data, err := second.Read(ctx, file)
		if err != nil {
			return nil, err
		}
		c, err := keys.OpenCheckpoint(data)
		if err != nil {
			return nil, fmt.Errorf("%s in the store of checkpoints: %w", file, err)
		}
		all = append(all, c)
	}
	return all, nil
}
