package cloudtrail

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/cloudtrail"
	kmsshape "bawn.dev/internal/shape/kms"
	s3shape "bawn.dev/internal/shape/s3"
)

func put(t testing.TB, b *bench, in *shape.PutEventSelectorsInput) {
	t.Helper()
	apitest.Must[shape.PutEventSelectorsOutput](t, b.admin, "cloudtrail:PutEventSelectors", in)
}

func is1(field string, values ...string) shape.AdvancedFieldSelector {
	return shape.AdvancedFieldSelector{Field: field, Equals: values}
}

// A trail delivers what its selectors select and nothing else.
func TestSelectors(t *testing.T) {
	for name, c := range map[string]struct {
		in   shape.PutEventSelectorsInput
		want string // of PutObject, GetObject of bucket "data", ListKeys, CreateAlias
	}{
		"management":          {shape.PutEventSelectorsInput{EventSelectors: []shape.EventSelector{{}}}, "CreateAlias ListKeys"},
		"writes":              {shape.PutEventSelectorsInput{EventSelectors: []shape.EventSelector{{ReadWriteType: shape.ReadWriteTypeWriteOnly}}}, "CreateAlias"},
		"reads":               {shape.PutEventSelectorsInput{EventSelectors: []shape.EventSelector{{ReadWriteType: shape.ReadWriteTypeReadOnly}}}, "ListKeys"},
		"not of kms":          {shape.PutEventSelectorsInput{EventSelectors: []shape.EventSelector{{ExcludeManagementEventSources: []string{"kms.amazonaws.com"}}}}, ""},
		"every object":        {shape.PutEventSelectorsInput{EventSelectors: []shape.EventSelector{{IncludeManagementEvents: no(), DataResources: []shape.DataResource{{Type: "AWS::S3::Object", Values: []string{"arn:aws:s3"}}}}}}, "GetObject PutObject"},
		"some objects":        {shape.PutEventSelectorsInput{EventSelectors: []shape.EventSelector{{IncludeManagementEvents: no(), DataResources: []shape.DataResource{{Type: "AWS::S3::Object", Values: []string{"arn:aws:s3:::data/a"}}}}}}, "PutObject"},
		"object reads":        {shape.PutEventSelectorsInput{EventSelectors: []shape.EventSelector{{ReadWriteType: shape.ReadWriteTypeReadOnly, IncludeManagementEvents: no(), DataResources: []shape.DataResource{{Type: "AWS::S3::Object", Values: []string{"arn:aws:s3:::data/"}}}}}}, "GetObject"},
		"two":                 {shape.PutEventSelectorsInput{EventSelectors: []shape.EventSelector{{ReadWriteType: shape.ReadWriteTypeWriteOnly}, {ReadWriteType: shape.ReadWriteTypeReadOnly}}}, "CreateAlias ListKeys"},
		"advanced management": {shape.PutEventSelectorsInput{AdvancedEventSelectors: []shape.AdvancedEventSelector{{FieldSelectors: []shape.AdvancedFieldSelector{is1("eventCategory", "Management"), is1("readOnly", "false")}}}}, "CreateAlias"},
		"advanced source":     {shape.PutEventSelectorsInput{AdvancedEventSelectors: []shape.AdvancedEventSelector{{FieldSelectors: []shape.AdvancedFieldSelector{is1("eventCategory", "Management"), {Field: "eventSource", NotEquals: []string{"kms.amazonaws.com"}}}}}}, ""},
		"advanced name":       {shape.PutEventSelectorsInput{AdvancedEventSelectors: []shape.AdvancedEventSelector{{FieldSelectors: []shape.AdvancedFieldSelector{is1("eventCategory", "Management"), {Field: "eventName", StartsWith: []string{"List", "Get"}}}}}}, "ListKeys"},
		"advanced objects": {shape.PutEventSelectorsInput{AdvancedEventSelectors: []shape.AdvancedEventSelector{{FieldSelectors: []shape.AdvancedFieldSelector{is1("eventCategory", "Data"), is1("resources.type", "AWS::S3::Object"),
			{Field: "resources.ARN", StartsWith: []string{"arn:aws:s3:::data/"}, NotEndsWith: []string{"/b"}}}}}}, "PutObject"},
		"advanced person": {shape.PutEventSelectorsInput{AdvancedEventSelectors: []shape.AdvancedEventSelector{{FieldSelectors: []shape.AdvancedFieldSelector{is1("eventCategory", "Management"), {Field: "userIdentity.arn", NotEndsWith: []string{"/admin"}}}}}}, ""},
		"two advanced": {shape.PutEventSelectorsInput{AdvancedEventSelectors: []shape.AdvancedEventSelector{
			{FieldSelectors: []shape.AdvancedFieldSelector{is1("eventCategory", "Data"), is1("resources.type", "AWS::S3::Object"), is1("eventName", "GetObject")}},
			{FieldSelectors: []shape.AdvancedFieldSelector{is1("eventCategory", "Management"), is1("eventName", "CreateAlias")}}}}, "CreateAlias GetObject"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.bucket(t, "data", "")
			apitest.Must[s3shape.PutObjectOutput](t, b.admin, "s3:PutObject", &s3shape.PutObjectInput{Bucket: "data", Key: "b", Body: strings.NewReader("x")})
			b.trail(t, &shape.CreateTrailInput{Name: "all"})
			c.in.TrailName = "all"
			put(t, b, &c.in)
			apitest.Must[s3shape.PutObjectOutput](t, b.admin, "s3:PutObject", &s3shape.PutObjectInput{Bucket: "data", Key: "a", Body: strings.NewReader("x")})
			apitest.Must[s3shape.GetObjectOutput](t, b.admin, "s3:GetObject", &s3shape.GetObjectInput{Bucket: "data", Key: "b"})
			apitest.Must[kmsshape.ListKeysOutput](t, b.admin, "kms:ListKeys", &kmsshape.ListKeysInput{})
			b.act(t, "one")
			b.pass(t, DefaultPeriod)
			var got []string
			for _, r := range b.records(t, "logs", "") {
				if n := r["eventName"].(string); slices.Contains([]string{"PutObject", "GetObject", "ListKeys", "CreateAlias"}, n) &&
					!strings.Contains(fmt.Sprint(r["userIdentity"]), principal) {
					got = append(got, n)
				}
			}
			slices.Sort(got)
			if s := strings.Join(slices.Compact(got), " "); s != c.want {
				t.Errorf("delivered %q, want %q", s, c.want)
			}
		})
	}
}

// Whoever narrows what a trail selects cannot take back what happened before that, and
// the change itself is delivered.
func TestSelectorsHoldFromTheirCall(t *testing.T) {
	b := newBench(t)
	b.trail(t, &shape.CreateTrailInput{Name: "all"})
	b.act(t, "one")
	put(t, b, &shape.PutEventSelectorsInput{TrailName: "all", EventSelectors: []shape.EventSelector{{ReadWriteType: shape.ReadWriteTypeReadOnly}}})
	b.act(t, "unheard")
	put(t, b, &shape.PutEventSelectorsInput{TrailName: "all", EventSelectors: []shape.EventSelector{{}}})
	b.act(t, "two")
	apitest.Must[shape.UpdateTrailOutput](t, b.admin, "cloudtrail:UpdateTrail", &shape.UpdateTrailInput{Name: "all", EnableLogFileValidation: yes()})
	b.act(t, "three")
	b.pass(t, DefaultPeriod)
	if got := b.aliases(t, "logs", ""); got != "one three two" {
		t.Errorf("delivered: %s", got)
	}
	names := b.names(t, "logs", "")
	count := func(name string) (n int) {
		for _, other := range names {
			if other == name {
				n++
			}
		}
		return n
	}
	if count("PutEventSelectors") != 1 || count("UpdateTrail") != 1 {
		t.Errorf("delivered: %v", names)
	}
}

func TestGlobalEvents(t *testing.T) {
	e := &event{Category: "Management", Source: "iam.amazonaws.com"}
	if !usual(true).takes(e) || usual(false).takes(e) {
		t.Error("events of global services are taken as they should not be")
	}
	e.Source = "kms.amazonaws.com"
	if !usual(false).takes(e) {
		t.Error("an event of the region is not taken")
	}
}

func TestBadSelectors(t *testing.T) {
	b := newBench(t)
	b.trail(t, &shape.CreateTrailInput{Name: "all"})
	advanced := func(fields ...shape.AdvancedFieldSelector) shape.PutEventSelectorsInput {
		return shape.PutEventSelectorsInput{AdvancedEventSelectors: []shape.AdvancedEventSelector{{FieldSelectors: fields}}}
	}
	data := func(typ string, values ...string) shape.PutEventSelectorsInput {
		return shape.PutEventSelectorsInput{EventSelectors: []shape.EventSelector{{DataResources: []shape.DataResource{{Type: typ, Values: values}}}}}
	}
	for name, in := range map[string]shape.PutEventSelectorsInput{
		"none":            {},
		"both":            {EventSelectors: []shape.EventSelector{{}}, AdvancedEventSelectors: []shape.AdvancedEventSelector{{}}},
		"six":             {EventSelectors: make([]shape.EventSelector, 6)},
		"other source":    {EventSelectors: []shape.EventSelector{{ExcludeManagementEventSources: []string{"iam.amazonaws.com"}}}},
		"functions":       data("AWS::Lambda::Function", "arn:aws:lambda"),
		"not a bucket":    data("AWS::S3::Object", "data"),
		"too many":        data("AWS::S3::Object", slices.Repeat([]string{"arn:aws:s3:::data/"}, 251)...),
		"no category":     advanced(is1("eventName", "x")),
		"two categories":  advanced(is1("eventCategory", "Management", "Data")),
		"other category":  advanced(is1("eventCategory", "Insight")),
		"unknown field":   advanced(is1("eventCategory", "Management"), is1("sourceIPAddress", "x")),
		"field twice":     advanced(is1("eventCategory", "Management"), is1("eventName", "x"), is1("eventName", "y")),
		"no operator":     advanced(is1("eventCategory", "Management"), shape.AdvancedFieldSelector{Field: "eventName"}),
		"negated":         advanced(shape.AdvancedFieldSelector{Field: "eventCategory", NotEquals: []string{"Data"}}),
		"data of no type": advanced(is1("eventCategory", "Data")),
		"typed":           advanced(is1("eventCategory", "Management"), is1("resources.type", "AWS::S3::Object")),
		"network of none": advanced(is1("eventCategory", "NetworkActivity")),
		"maybe":           advanced(is1("eventCategory", "Management"), is1("readOnly", "maybe")),
		"many values":     advanced(is1("eventCategory", "Management"), is1("eventName", slices.Repeat([]string{"x"}, 500)...)),
	} {
		in.TrailName = "all"
		if _, err := apitest.Call[shape.PutEventSelectorsOutput](t, b.admin, "cloudtrail:PutEventSelectors", &in); err == nil || err.Code != "InvalidEventSelectorsException" {
			t.Errorf("%s: %v", name, err)
		}
	}
	out := apitest.Must[shape.GetEventSelectorsOutput](t, b.admin, "cloudtrail:GetEventSelectors", &shape.GetEventSelectorsInput{TrailName: "all"})
	if len(out.EventSelectors) != 1 || out.EventSelectors[0].ReadWriteType != shape.ReadWriteTypeAll || !*out.EventSelectors[0].IncludeManagementEvents {
		t.Errorf("a new trail selects %+v", out)
	}
}
