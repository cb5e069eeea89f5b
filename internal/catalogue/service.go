package catalogue

import "strings"

// KnownService says whether any action of a lower-case service is known. Policies
// may speak of others, which are not here.
func (c *Catalogue) KnownService(service string) bool {
	for action := range c.actions {
		if strings.HasPrefix(action, service+":") {
			return true
		}
	}
	return false
}
