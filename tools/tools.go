// Package tools pins developer tools, outside the main module.
package tools

import _ "honnef.co/go/tools/cmd/staticcheck"
