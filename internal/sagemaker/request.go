package sagemaker

import (
	"strings"

	shape "bawn.dev/internal/shape/sagemaker"
	"bawn.dev/internal/spec"
)

const (
	maxVolume         = 16384          // GB
	defaultMaxRuntime = 24 * 3600      // seconds, as AWS has it
	maxRuntime        = 28 * 24 * 3600 // seconds
	maxTags           = 50
)

// check refuses what is not served, by name, and what cannot be. The model's own
// constraints have been checked.
func check(in *shape.CreateTrainingJobInput) error {
	for _, f := range []func(*shape.CreateTrainingJobInput) error{
		checkAlgorithm, checkInput, checkOutput, checkResources, checkPlace, checkTexts,
	} {
		if err := f(in); err != nil {
			return err
		}
	}
	return nil
}

func checkAlgorithm(in *shape.CreateTrainingJobInput) error {
	a := in.AlgorithmSpecification
	switch {
	case a == nil || a.TrainingImage == "":
		return invalid("AlgorithmSpecification.TrainingImage is required.")
	case a.TrainingInputMode != shape.TrainingInputModeFile:
		return notServed("TrainingInputMode " + string(a.TrainingInputMode))
	case len(a.MetricDefinitions) > 0:
		return notServed("AlgorithmSpecification.MetricDefinitions")
	case truth(a.EnableSageMakerMetricsTimeSeries):
		return notServed("AlgorithmSpecification.EnableSageMakerMetricsTimeSeries")
	}
	return nil
}

func checkInput(in *shape.CreateTrainingJobInput) error {
	seen := map[string]bool{}
	for _, ch := range in.InputDataConfig {
		name := "Channel " + ch.ChannelName + ": "
		switch {
		case strings.Trim(ch.ChannelName, ".") == "":
			return invalid("%sthe name cannot be that of a directory.", name)
		case seen[ch.ChannelName]:
			return invalid("%sthe name is used twice.", name)
		case ch.CompressionType != "" && ch.CompressionType != shape.CompressionTypeNone:
			return notServed(name + "CompressionType " + string(ch.CompressionType))
		case ch.RecordWrapperType != "" && ch.RecordWrapperType != shape.RecordWrapperNone:
			return notServed(name + "RecordWrapperType " + string(ch.RecordWrapperType))
		case ch.InputMode != "" && ch.InputMode != shape.TrainingInputModeFile:
			return notServed(name + "InputMode " + string(ch.InputMode))
		case ch.ShuffleConfig != nil:
			return notServed(name + "ShuffleConfig")
		case ch.DataSource == nil || ch.DataSource.S3DataSource == nil:
			return invalid("%sDataSource.S3DataSource is required.", name)
		}
		seen[ch.ChannelName] = true
		source := ch.DataSource.S3DataSource
		if source.S3DataType != shape.S3DataTypeS3Prefix {
			return notServed(name + "S3DataType " + string(source.S3DataType))
		}
		if _, _, ok := cutS3(source.S3Uri); !ok {
			return invalid("%sS3Uri must be s3://bucket/prefix.", name)
		}
	}
	return nil
}

func checkOutput(in *shape.CreateTrainingJobInput) error {
	o := in.OutputDataConfig
	if o == nil {
		return invalid("OutputDataConfig is required.")
	}
	if o.CompressionType != "" && o.CompressionType != shape.OutputCompressionTypeGzip {
		return notServed("OutputDataConfig.CompressionType " + string(o.CompressionType))
	}
	if _, _, ok := cutS3(o.S3OutputPath); !ok {
		return invalid("OutputDataConfig.S3OutputPath must be s3://bucket/prefix.")
	}
	return nil
}

func checkResources(in *shape.CreateTrainingJobInput) error {
	r := in.ResourceConfig
	if r == nil || r.InstanceType == "" || r.InstanceCount == nil || r.VolumeSizeInGB == nil {
		return invalid("ResourceConfig needs InstanceType, InstanceCount and VolumeSizeInGB.")
	}
	if _, ok := limits(string(r.InstanceType)); !ok {
		return notServed("InstanceType " + string(r.InstanceType))
	}
	if *r.InstanceCount != 1 {
		return invalid("InstanceCount %d is not supported: a training job has one instance.", *r.InstanceCount)
	}
	if *r.VolumeSizeInGB < 1 || *r.VolumeSizeInGB > maxVolume {
		return invalid("VolumeSizeInGB must be between 1 and %d.", maxVolume)
	}
	if s := in.StoppingCondition; s != nil && s.MaxRuntimeInSeconds != nil && *s.MaxRuntimeInSeconds > maxRuntime {
		return invalid("MaxRuntimeInSeconds must be at most %d.", maxRuntime)
	}
	return nil
}

func checkPlace(in *shape.CreateTrainingJobInput) error {
	if v := in.VpcConfig; v != nil && (len(v.Subnets) == 0 || len(v.SecurityGroupIds) == 0) {
		return invalid("VpcConfig needs Subnets and SecurityGroupIds.")
	}
	return nil
}

// checkTexts keeps out what no program could be given.
func checkTexts(in *shape.CreateTrainingJobInput) error {
	texts := append(append([]string{}, in.AlgorithmSpecification.ContainerEntrypoint...), in.AlgorithmSpecification.ContainerArguments...)
	for _, value := range in.Environment {
		texts = append(texts, value)
	}
	for _, text := range texts {
		if strings.ContainsRune(text, 0) {
			return invalid("Environment, ContainerEntrypoint and ContainerArguments cannot hold a zero byte.")
		}
	}
	if e := in.AlgorithmSpecification.ContainerEntrypoint; len(e) > 0 && e[0] == "" {
		return invalid("ContainerEntrypoint names no program.")
	}
	return nil
}

func truth(b *bool) bool { return b != nil && *b }

// maxSeconds is how long the job may run.
func maxSeconds(in *shape.CreateTrainingJobInput) int64 {
	if s := in.StoppingCondition; s != nil && s.MaxRuntimeInSeconds != nil {
		return int64(*s.MaxRuntimeInSeconds)
	}
	return defaultMaxRuntime
}

// cutS3 takes s3://bucket/key apart. The key may be empty.
func cutS3(uri string) (bucket, key string, ok bool) {
	rest, ok := strings.CutPrefix(uri, "s3://")
	bucket, key, _ = strings.Cut(rest, "/")
	return bucket, key, ok && bucket != ""
}

// isolated says that the job has no interface but loopback.
func isolated(in *shape.CreateTrainingJobInput) bool {
	return in.VpcConfig == nil || truth(in.EnableNetworkIsolation)
}

// jobLimits are those of the instance type, with the volume and the time asked for.
func jobLimits(in *shape.CreateTrainingJobInput) spec.Limits {
	l, _ := limits(string(in.ResourceConfig.InstanceType))
	l.DiskBytes = int64(*in.ResourceConfig.VolumeSizeInGB) * gib
	l.MaxRuntimeSeconds = maxSeconds(in)
	return l
}
