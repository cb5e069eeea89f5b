package host

// Handler is the requests that a host answers, for fuzzing.
var Handler = handler
