package cloudtrail

import "bawn.dev/internal/api"

func noLake(arn string) *api.Error {
	return fail("EventDataStoreNotFoundException", "The specified event data store was not found: %s", arn)
}

func badLake(name string) *api.Error {
	return fail("EventDataStoreARNInvalidException", "The specified event data store ARN is not valid: %s", name)
}

func noQuery(id string) *api.Error {
	return fail("QueryIdNotFoundException", "The query ID does not exist or does not map to a query: %s", id)
}

func badParameter(format string, args ...any) *api.Error {
	return fail("InvalidParameterException", format, args...)
}

func badStatus(l *foundLake, want string) *api.Error {
	return fail("InvalidEventDataStoreStatusException", "The event data store %s is %s, not %s.", l.named, l.status(), want)
}
