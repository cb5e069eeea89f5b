// Package wire speaks AWS's protocols, on the server's side: query and EC2 query (forms in, XML out), JSON 1.1, REST-JSON and
// REST-XML (S3). It finds the operation that a request names, fills and checks the input, and writes answers and errors in the
// exact form that unmodified clients parse. The forms are those of AWS's published API models and of the SDKs' serializers.
//
// It trusts the descriptors of package shape and nothing else: method, host, path, headers and body are an attacker's. Decoding is
// strict. Whoever controls a request can make it be refused, but cannot smuggle a member past the handler: duplicates, other
// spellings, unknown parameters, headers and sub-resources are refused by name, and a member of AWS's API that is not served is
// refused too unless its value asks for nothing. Work and memory are bounded by the body that the caller passes, which must be
// limited, and by the limits on parameters, elements and depth here. It authenticates nobody: api does, before it decodes.
package wire
