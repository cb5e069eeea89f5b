package studio

import (
	"encoding/base64"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"time"
)

// parse reads every page with the layout round it.
func (s *Studio) parse() error {
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		return err
	}
	for _, name := range names {
		page := strings.TrimSuffix(path.Base(name), ".html")
		if page == "layout" {
			continue
		}
		t, err := template.New(page).Funcs(helpers).ParseFS(files, "pages/layout.html", name)
		if err != nil {
			return err
		}
		s.pages[page] = t
	}
	return nil
}

var helpers = template.FuncMap{
	"time":    func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") },
	"machine": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"png": func(raw []byte) template.URL {
		return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(raw)) //nolint:gosec // our own picture
	},
	"grouped": grouped,
	"browser": browser,
	"yes":     func(b *bool) bool { return b != nil && *b },
}

// grouped breaks a secret into fours, to be typed from a screen.
func grouped(text string) string {
	var b strings.Builder
	for i, c := range text {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// browser says in a few words what a client says that it is. Whatever it says stays a
// guess of hers.
func browser(agent string) string {
	find := func(names ...string) string {
		for _, n := range names {
			mark, name, _ := strings.Cut(n, "=")
			if strings.Contains(agent, mark) {
				return name
			}
		}
		return ""
	}
	what := find("Edg/=Edge", "OPR/=Opera", "Firefox/=Firefox", "Chrome/=Chrome", "Safari/=Safari", "aws-cli/=AWS CLI", "Boto3/=boto3", "Botocore/=botocore", "bawn/=bawn")
	on := find("Android=Android", "iPhone=iPhone", "iPad=iPad", "Windows=Windows", "Mac OS X=macOS", "Linux=Linux", "linux=Linux")
	switch {
	case what == "" && on == "":
		return "Unknown client"
	case what == "":
		return on
	case on == "":
		return what
	}
	return what + " on " + on
}
