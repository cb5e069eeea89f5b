package sagemaker

import (
	"math"
	"strings"

	"bawn.dev/internal/spec"
)

// What an instance type means: so many processors and so much memory as a ceiling
// of the workload's control group. The numbers are those that AWS publishes for the
// EC2 type of the same name:
//
//	size      vCPU     family  GiB per vCPU
//	medium       2     m4, m5, m6i, m7i    4
//	large        2     c4                  1.875
//	xlarge       4     c5, c6i, c7i        2
//	2xlarge      8     c5n                 2.625
//	4xlarge     16     r5, r5d, r7i        8
//	8xlarge     32     t3                  2 (medium), 4
//	9xlarge     36
//	10xlarge    40
//	12xlarge    48     c4.8xlarge has 36 vCPU and 60 GiB
//	16xlarge    64
//	18xlarge    72
//	24xlarge    96
//	32xlarge   128
//	48xlarge   192
//
// Types with accelerators are not in the table: no host offers any.
func processors(size string) int64 {
	switch size {
	case "medium", "large":
		return 2
	case "xlarge":
		return 4
	case "2xlarge":
		return 8
	case "4xlarge":
		return 16
	case "8xlarge":
		return 32
	case "9xlarge":
		return 36
	case "10xlarge":
		return 40
	case "12xlarge":
		return 48
	case "16xlarge":
		return 64
	case "18xlarge":
		return 72
	case "24xlarge":
		return 96
	case "32xlarge":
		return 128
	case "48xlarge":
		return 192
	}
	return 0
}

func memoryPerProcessor(family, size string) float64 {
	switch family {
	case "m4", "m5", "m6i", "m7i":
		return 4
	case "c4":
		return 1.875
	case "c5", "c6i", "c7i":
		return 2
	case "c5n":
		return 2.625
	case "r5", "r5d", "r7i":
		return 8
	case "t3":
		if size == "medium" {
			return 2
		}
		return 4
	}
	return 0
}

const gib = 1 << 30

// limits are what a workload on an instance of this type may use. An unknown type
// has none.
func limits(instanceType string) (l spec.Limits, ok bool) {
	rest, _ := strings.CutPrefix(instanceType, "ml.")
	family, size, _ := strings.Cut(rest, ".")
	cpus, memory := processors(size), memoryPerProcessor(family, size)
	if cpus == 0 || memory == 0 {
		return l, false
	}
	total := float64(cpus) * memory
	if family == "c4" && size == "8xlarge" {
		cpus, total = 36, 60
	}
	return spec.Limits{
		MilliCPUs: cpus * 1000, MemoryBytes: int64(math.Round(total * gib)), PIDs: max(4096, 1024*cpus),
	}, true
}
