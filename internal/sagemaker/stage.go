package sagemaker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/api"
	"bawn.dev/internal/host"
	"bawn.dev/internal/shape/s3"
	shape "bawn.dev/internal/shape/sagemaker"
)

// maxObjects bounds how many files a channel may have.
const maxObjects = 1_000_000

// stage puts the job's configuration and data on its volume. Each object streams
// from the store to the host; none is ever whole in memory here.
func (w *worker) stage(ctx context.Context, j *job, in *shape.CreateTrainingJobInput) error {
	if err := w.configure(ctx, j, in); err != nil {
		return err
	}
	if len(in.InputDataConfig) == 0 {
		return nil
	}
	for _, ch := range in.InputDataConfig {
		if err := w.channel(ctx, j, &ch); err != nil {
			return err
		}
	}
	return nil
}

// atS3 is the call under which an object of the job is read or written: with an
// interface in a VPC as if it came from there. Each has a call of its own, since each
// must be allowed as things are then.
func (w *worker) atS3(ctx context.Context, j *job) (*api.Call, error) {
	var origin *api.Origin
	if j.network != nil {
		var err error
		if origin, err = w.S3Endpoint(ctx, j.vpc, j.network.Interface.SubnetID, j.network.Interface.ID); err != nil {
			return nil, because(err, "The job's VPC does not reach S3")
		}
	}
	return w.asRole(ctx, j, origin)
}

type channelConfig struct {
	ContentType        string `json:",omitempty"`
	TrainingInputMode  string
	S3DistributionType string
	RecordWrapperType  string
}

type instanceGroup struct {
	Name  string   `json:"instance_group_name"`
	Type  string   `json:"instance_type"`
	Hosts []string `json:"hosts"`
}

type resourceConfig struct {
	CurrentHost  string          `json:"current_host"`
	CurrentType  string          `json:"current_instance_type"`
	CurrentGroup string          `json:"current_group_name"`
	Hosts        []string        `json:"hosts"`
	Groups       []instanceGroup `json:"instance_groups"`
	Interface    string          `json:"network_interface_name"`
}

// configure writes the files of /opt/ml/input/config.
func (w *worker) configure(ctx context.Context, j *job, in *shape.CreateTrainingJobInput) error {
	hyper := in.HyperParameters
	if hyper == nil {
		hyper = map[string]string{}
	}
	channels := map[string]channelConfig{}
	for _, ch := range in.InputDataConfig {
		c := channelConfig{ch.ContentType, "File", string(ch.DataSource.S3DataSource.S3DataDistributionType), "None"}
		if c.S3DistributionType == "" {
			c.S3DistributionType = string(shape.S3DataDistributionFullyReplicated)
		}
		channels[ch.ChannelName] = c
	}
	const group = "homogeneousCluster" // SageMaker's name for the only group
	instance, hosts := string(in.ResourceConfig.InstanceType), []string{hostname}
	resources := resourceConfig{hostname, instance, group, hosts, []instanceGroup{{group, instance, hosts}}, "lo"}
	if j.network != nil {
		resources.Interface = "eth0"
	}
	for name, v := range map[string]any{"hyperparameters": hyper, "inputdataconfig": channels, "resourceconfig": resources} {
		text, err := json.Marshal(v, json.Deterministic(true), jsontext.Multiline(true))
		if err != nil {
			return err
		}
		if err := w.Machines.Put(ctx, j.id, volumeInput+"/config/"+name+".json", bytes.NewReader(text)); err != nil {
			return err
		}
	}
	if w.trusted(j) {
		return w.Machines.Put(ctx, j.id, volumeTrust+"/"+caFile, bytes.NewReader(w.CA))
	}
	return nil
}

// channel brings every object under the channel's prefix. A prefix is a prefix of
// keys: the part of it after the last slash is the beginning of file names.
func (w *worker) channel(ctx context.Context, j *job, ch *shape.Channel) error {
	uri := ch.DataSource.S3DataSource.S3Uri
	bucket, prefix, _ := cutS3(uri)
	base := prefix[:strings.LastIndex(prefix, "/")+1]
	files := 0
	for list := (&s3.ListObjectsV2Input{Bucket: bucket, Prefix: prefix}); ; {
		c, err := w.atS3(ctx, j)
		if err != nil {
			return err
		}
		page, err := api.Invoke[s3.ListObjectsV2Output](ctx, c, "s3:ListObjectsV2", list)
		if err != nil {
			return because(err, "Failed to list %s for channel %s", uri, ch.ChannelName)
		}
		for _, o := range page.Contents {
			name := strings.TrimPrefix(o.Key, base)
			if strings.HasSuffix(o.Key, "/") || name == "" {
				continue // what some clients make to stand for a directory
			}
			if files++; files > maxObjects {
				return clientError("Channel %s has more than %d objects.", ch.ChannelName, maxObjects)
			}
			target := volumeInput + "/data/" + ch.ChannelName + "/" + name
			if !plain(name) {
				return clientError("The key of an object of channel %s cannot be the name of a file: %q", ch.ChannelName, o.Key)
			}
			if err := w.download(ctx, j, bucket, o.Key, target); err != nil {
				return err
			}
		}
		if page.NextContinuationToken == "" {
			break
		}
		list.ContinuationToken = page.NextContinuationToken
	}
	if files == 0 {
		return clientError("Data download failed: no S3 objects found under %s given in input data source of channel %s.", uri, ch.ChannelName)
	}
	return nil
}

// plain says whether a key can be a file's path below its channel as it stands.
func plain(name string) bool {
	return len(name) <= 1024 && !path.IsAbs(name) && path.Clean(name) == name && name != "." && name != ".." &&
		!strings.HasPrefix(name, "../") && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func (w *worker) download(ctx context.Context, j *job, bucket, key, target string) error {
	c, err := w.atS3(ctx, j)
	if err != nil {
		return err
	}
	out, err := api.Invoke[s3.GetObjectOutput](ctx, c, "s3:GetObject", &s3.GetObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		return because(err, "Failed to download s3://%s/%s", bucket, key)
	}
	body := out.Body
	if body == nil {
		body = io.NopCloser(strings.NewReader(""))
	}
	defer body.Close()
	err = w.Machines.Put(ctx, j.id, target, body)
	if errors.Is(err, host.ErrInvalid) || errors.Is(err, host.ErrTooLarge) {
		return clientError("s3://%s/%s cannot be put on the job's volume: %s", bucket, key, err)
	}
	return err
}
