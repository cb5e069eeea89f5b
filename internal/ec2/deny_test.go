package ec2

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
)

// Who is allowed nothing hears nothing but that, however wrong the request is: not
// whether an id is one, a tag good, or a parameter missing.
func TestDenyEverything(t *testing.T) {
	b := newBench(t)
	nobody := b.User(t, apitest.Account, "nobody")
	claim := api.Claim{Kind: api.KindUser, Account: apitest.Account, ID: nobody.Entity.ID, Issued: time.Now()}
	tried := 0
	for _, e := range b.Door.Entries() {
		if !strings.HasPrefix(e.Name, "ec2:") {
			continue
		}
		for _, text := range []string{"", "some", "vpc-*", "subnet-00000000000000000", "arn:aws:iam::123456789012:role/flow", "\x00\n*?${aws:userid}"} {
			call, err := b.Door.Begin(t.Context(), claim, "")
			if err != nil {
				t.Fatal(err)
			}
			in := e.NewInput()
			fillWith(reflect.ValueOf(in).Elem(), text)
			_, err = api.InvokeAny(t.Context(), call, e.Name, in)
			tried++
			if refusal, ok := errors.AsType[*api.Error](err); !ok || refusal.Code != "AccessDenied" {
				t.Errorf("%s with %q answers %v, not a denial", e.Name, text, err)
			}
		}
	}
	if tried < 32*6 {
		t.Errorf("only %d calls were tried", tried)
	}
}

// fillWith sets every text of an input, one of each list, to text.
func fillWith(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		switch v.Type().Name() {
		case "FlowLogsResourceType": // the wire admits no other values
			v.SetString("VPC")
		case "VpcAttributeName":
			v.SetString("enableDnsSupport")
		default:
			v.SetString(text)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fillWith(v.Field(i), text)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillWith(v.Index(0), text)
	}
}
