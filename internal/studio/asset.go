package studio

import "path"

var assetTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// asset serves the stylesheet and the scripts.
func (s *Studio) asset(v *visit) error {
	name := v.r.PathValue("name")
	raw, err := files.ReadFile("assets/" + name)
	kind := assetTypes[path.Ext(name)]
	if err != nil || kind == "" {
		return s.nowhere(v)
	}
	v.w.Header().Set("Content-Type", kind)
	v.w.Header().Set("Cache-Control", "no-cache") // a new release is a new style
	v.w.Write(raw)
	return nil
}
