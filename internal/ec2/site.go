package ec2

import (
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/store"
)

// A Site is an address outside of all VPCs, a hospital's archive say, that the
// operator lets an account offer by its endpoint services, under a name. Nobody can
// make one over the API.
type Site struct {
	Account, Name string
	Host          string // an IPv4 address, or a name that the server resolves
	Port          uint16
	Created       time.Time
	Operator      string // who approved it
}

// Limits on sites.
const maxSites = 100 // of an account

var (
	siteName  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	accountID = regexp.MustCompile(`^[0-9]{12}$`)
)

// AllowSite approves a site, or gives one that there is another address, which holds
// for the next connection. Its refusals are for the operator. It does not ask
// whether there is such an account.
func (s *Service) AllowSite(tx *store.Tx, site Site) error {
	host := strings.ToLower(strings.TrimSuffix(site.Host, "."))
	switch {
	case !accountID.MatchString(site.Account):
		return fmt.Errorf("%.40q is not an account id", site.Account)
	case !siteName.MatchString(site.Name):
		return fmt.Errorf("%.80q is not a site's name: 1 to 63 lower-case letters, digits and hyphens", site.Name)
	case site.Port == 0:
		return errors.New("a site has a port from 1 to 65535")
	}
	if err := checkSiteHost(host); err != nil {
		return err
	}
	all, err := s.ListSites(tx, site.Account)
	if err != nil {
		return err
	}
	there := slices.ContainsFunc(all, func(o Site) bool { return o.Name == site.Name })
	if !there && len(all) >= maxSites {
		return fmt.Errorf("the account has %d sites already", maxSites)
	}
	if _, err := tx.Exec(`INSERT INTO ec2_sites (account, name, host, port, created, operator) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (account, name) DO UPDATE SET host = excluded.host, port = excluded.port, created = excluded.created, operator = excluded.operator`,
		site.Account, site.Name, host, int64(site.Port), s.Now().UnixMicro(), site.Operator); err != nil {
		return err
	}
	return s.touchSite(tx, site.Account, site.Name)
}

// checkSiteHost admits no address of the machine itself, and none that means
// something else on each machine. What a name resolves to the server has to ask.
func checkSiteHost(host string) error {
	if a, err := netip.ParseAddr(host); err == nil {
		if !a.Is4() || a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return fmt.Errorf("%s cannot be a site: it must be the IPv4 address of another machine", host)
		}
		return nil
	}
	if len(host) > maxDNSName || host == "localhost" || strings.HasSuffix(host, ".localhost") || !hostName(host) {
		return fmt.Errorf("%.300q is neither an IPv4 address nor a DNS name of another machine", host)
	}
	return nil
}

// RevokeSite withdraws a site. Services that offer it keep the target, which leads
// nowhere; connections end when they are asked about again.
func (s *Service) RevokeSite(tx *store.Tx, account, name string) error {
	site, err := siteOf(tx, account, name)
	if err != nil {
		return err
	}
	if site == nil {
		return fmt.Errorf("account %s has no site %.80q", account, name)
	}
	if _, err := tx.Exec("DELETE FROM ec2_sites WHERE account = ? AND name = ?", account, name); err != nil {
		return err
	}
	return s.touchSite(tx, account, name)
}

// touchSite has the networks decided on anew in which a site counts.
func (s *Service) touchSite(tx *store.Tx, account, name string) error {
	services, err := ofKind[*endpointService](tx, account)
	if err != nil {
		return err
	}
	for _, v := range services {
		if slices.ContainsFunc(v.Targets, func(t serviceTarget) bool { return t.Site == name }) {
			if err := s.touchService(tx, v); err != nil {
				return err
			}
		}
	}
	return nil
}

const siteColumns = "account, name, host, port, created, operator"

// ListSites are the sites of an account, or of all with an empty one.
func (s *Service) ListSites(q store.Querier, account string) ([]Site, error) {
	return store.Collect(q, func(r *store.Rows) (Site, error) { return readSite(r.Scan) },
		"SELECT "+siteColumns+" FROM ec2_sites WHERE account = ? OR ? = '' ORDER BY account, name", account, account)
}

// siteOf finds a site; nil when there is none.
func siteOf(q store.Querier, account, name string) (*Site, error) {
	site, err := readSite(q.QueryRow("SELECT "+siteColumns+" FROM ec2_sites WHERE account = ? AND name = ?", account, name).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &site, err
}

func readSite(scan func(...any) error) (site Site, err error) {
	var port, created int64
	if err := scan(&site.Account, &site.Name, &site.Host, &port, &created, &site.Operator); err != nil {
		return site, err
	}
	site.Port, site.Created = uint16(port), time.UnixMicro(created)
	return site, nil
}
