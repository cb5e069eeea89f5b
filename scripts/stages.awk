# What `go tool pprof -traces` prints of whole calls, on stdin, as lines of a benchmark: the time of the processor in each
# stage of a call. Each sample counts for the first stage that its stack is of. Wants name and calls.
function stage(title, functions) { titles[++stages] = title; patterns[stages] = functions }
function count(  i) {
	if (!lines) return
	for (i = 1; i <= stages && stack !~ patterns[i]; i++);
	spent[i] += us; total += us; lines = 0
}
BEGIN {
	stage("client", "server_test\\.|http\\.\\(\\*(persistConn|Transport)\\)")
	stage("seal_and_index", "trail\\.\\(\\*Trail\\)\\.(Seal|sealBatch)")
	stage("encode_record", "trail\\.\\(\\*Trail\\)\\.stored|api\\.\\(\\*Call\\)\\.(event|shared|records)")
	stage("commit", "store\\.\\(\\*writer\\)|store\\.\\(\\*Store\\)\\.(Insert|Update)")
	stage("signature_and_caller", "sigv4\\.|api\\.\\(\\*Door\\)\\.authenticate")
	stage("parse", "wire\\.\\(\\*Router\\)|wire\\.\\(\\*Match\\)\\.Decode|api\\.\\(\\*Call\\)\\.document")
	stage("decide", "api\\.\\(\\*Door\\)\\.authorize|authz\\.")
	stage("bytes_and_keys", "internal/(blob|seal|kms)\\.")
	stage("answer", "api\\.\\(\\*Door\\)\\.send")
	stage("rest_of_pipeline", "api\\.\\(\\*Door\\)")
	stage("TLS_and_HTTP", "net/http|crypto/tls|net\\.|internal/poll")
	titles[stages + 1] = "scheduler_and_garbage"
}
/^-+\+/ { count(); stack = ""; next }
!lines && $1 ~ /^[0-9.]+(us|ms|s)$/ { us = $1 * ($1 ~ /us$/ ? 1 : $1 ~ /ms$/ ? 1e3 : 1e6); stack = $2; lines = 1; next }
lines { stack = stack "\n" $1 }
END {
	count()
	for (i = 1; i <= stages + 1; i++) if (spent[i]) printf "Benchmark%s/%s 1 %.0f ns/op %.1f %%-of-processor\n", name, titles[i], 1e3 * spent[i] / calls, 100 * spent[i] / total
}
