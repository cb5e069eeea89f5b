// Package server builds everything in one function, in order, and runs it:
// listeners, TLS, health, shutdown, and the administrator's door.
//
// It is the only room that knows every other one. It trusts the data directory
// and whoever may write it. An attacker on the network meets the listeners: they
// speak TLS (or plain HTTP on loopback), bound the size and time of what they
// read, and hand every request to package api.
package server

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"bawn.dev/internal/accessgrants"
	"bawn.dev/internal/api"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/blob"
	"bawn.dev/internal/catalogue"
	"bawn.dev/internal/cloudtrail"
	"bawn.dev/internal/config"
	"bawn.dev/internal/ec2"
	"bawn.dev/internal/export"
	"bawn.dev/internal/fetch"
	"bawn.dev/internal/host"
	"bawn.dev/internal/iam"
	"bawn.dev/internal/identity"
	"bawn.dev/internal/kms"
	"bawn.dev/internal/ledger"
	"bawn.dev/internal/locked"
	"bawn.dev/internal/logs"
	"bawn.dev/internal/oidc"
	"bawn.dev/internal/organizations"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/rootkey"
	"bawn.dev/internal/s3"
	"bawn.dev/internal/sagemaker"
	"bawn.dev/internal/scim"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/signin"
	"bawn.dev/internal/store"
	"bawn.dev/internal/sts"
	"bawn.dev/internal/trail"
)

// A Server is one assembled Bawn.
type Server struct {
	cfg  config.Config
	log  *slog.Logger
	now  func() time.Time
	lock *os.File
	// memory holds key material, ring the store's keys in it.
	memory   *locked.Arena
	ring     *rootkey.Ring
	rekeying sync.Mutex
	ca       *authority
	// workloadCA certifies AWS's own names inside VPCs.
	workloadCA *authority
	store      *store.Store
	blobs      blobs
	moving     sync.Mutex // blobs
	trail      *trail.Trail
	// remembering is what keeps the record's heads outside the database, once it serves.
	remembering [][]*memory
	door        *api.Door
	// export is nil without one, and before Serve.
	export *export.Export

	iam           *iam.Service
	sts           *sts.Service
	organizations *organizations.Service
	identity      *identity.Service
	signin        *signin.Service
	kms           *kms.Service
	s3            *s3.Service
	accessgrants  *accessgrants.Service
	ec2           *ec2.Service
	logs          *logs.Service
	cloudtrail    *cloudtrail.Service
	sagemaker     *sagemaker.Service

	host   *host.Client
	places *places
	port   atomic.Int32 // of the front listener, once there is one
}

// Open assembles a server over an initialized data directory. Nothing listens
// yet. The caller closes it.
func Open(ctx context.Context, cfg config.Config, log *slog.Logger) (*Server, error) {
	return open(ctx, cfg, log, time.Now, false)
}

func open(ctx context.Context, cfg config.Config, log *slog.Logger, now func() time.Time, create bool) (_ *Server, err error) {
	s := &Server{cfg: cfg, log: log, now: now, memory: locked.New()}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.lock, err = lockDirectory(cfg); err != nil {
		return nil, err
	}
	if s.ring, err = s.openRing(create); err != nil {
		return nil, err
	}
	if s.ca, err = openCA(cfg, serverCASpec(cfg), s.ring, create, s.now()); err != nil {
		return nil, err
	}
	if s.workloadCA, err = openCA(cfg, workloadCASpec(cfg), s.ring, create, s.now()); err != nil {
		return nil, err
	}

	// State.
	where := store.Config{Path: cfg.Path("bawn.db"), Log: log}
	if cfg.Database != "" {
		where = store.Config{DatabaseURL: cfg.Database, Log: log}
	}
	if s.store, err = store.Open(ctx, where); err != nil {
		return nil, err
	}
	for _, list := range [][]store.Migration{
		keyMigrations, deedMigrations, organizations.Migrations(), iam.Migrations(), identity.Migrations(), signin.Migrations(), kms.Migrations(), s3.Migrations(),
		accessgrants.Migrations(),
		ec2.Migrations(), logs.Migrations(), sagemaker.Migrations(), scim.Migrations(), cloudtrail.Migrations(), export.Migrations(),
	} {
		if err = s.store.Migrate(ctx, list); err != nil {
			return nil, err
		}
	}
	keys, err := roomKeys(ctx, s.store, s.ring, "trail", "iam", "identity", "sts", "signin", "kms", "sagemaker", "cloudtrail")
	if err != nil {
		return nil, err
	}
	if !s.ring.Settled() { // a rekey was interrupted, or the directory is of an older form
		if err = s.settle(ctx); err != nil {
			return nil, err
		}
	}
	if s.blobs, err = openBlobs(ctx, cfg); err != nil {
		return nil, err
	}
	signer, err := recordSigner(cfg, keys["trail"])
	if err != nil {
		return nil, err
	}
	if s.trail, err = trail.New(s.store, signer, trail.Options{Account: cfg.AccountID}); err != nil {
		return nil, err
	}

	// Services.
	known := catalogue.New()
	if s.organizations, err = organizations.New(organizations.Config{Catalogue: known}); err != nil {
		return nil, err
	}
	if s.iam, err = iam.New(iam.Config{Key: keys["iam"], Catalogue: known, Region: cfg.Region}); err != nil {
		return nil, err
	}
	if s.identity, err = identity.New(identity.Config{Account: cfg.AccountID, Accounts: s.organizations, Catalogue: known, Key: keys["identity"]}); err != nil {
		return nil, err
	}
	fetcher := fetch.New(cfg.AllowFetch, nil)
	issuers := oidc.New(fetcher, s.now)
	s.signin, err = signin.New(signin.Config{
		Key: keys["signin"], Account: cfg.AccountID, Directory: s.identity, Issuers: issuers, Now: s.now,
		Site: site(cfg), Origins: s.origins, Access: s.identity, Source: s.identity, Sessions: portalSessions{s},
		Happened: func(ctx context.Context, e api.Event, change func(*store.Tx) error) error {
			return s.door.Happened(ctx, e, change)
		},
		Federation: s.federation(fetcher),
		Trouble:    func(err error) { log.Warn("an identity provider", "err", err) },
	})
	if err != nil {
		return nil, err
	}
	s.sts, err = sts.New(sts.Config{
		Key: keys["sts"], Contexts: s.signin, Policies: s.iam, Keys: s.iam, MFA: s.iam, Issuers: issuers,
		SAMLRecipients: samlRecipients(cfg), Catalogue: known,
		Trouble: func(err error) { log.Warn("an identity provider", "err", err) },
	})
	if err != nil {
		return nil, err
	}
	keyKMS := keys["kms"]
	defer keyKMS.Zero()
	s.kms, err = kms.New(kms.Config{Key: s.memory.Copy(keyKMS[:]), Memory: s.memory, Region: cfg.Region, Catalogue: known, Now: s.now, Happened: func(ctx context.Context, e api.Event, change func(*store.Tx) error) error {
		return s.door.Happened(ctx, e, change)
	}})
	if err != nil {
		return nil, err
	}
	s.s3, err = s3.New(s3.Config{Blobs: s.blobs, Region: cfg.Region, Catalogue: known, Orphan: func(ref blob.Ref, err error) {
		log.Warn("sealed bytes could not be deleted and wait for fsck", "blob", ref, "err", err)
	}})
	if err != nil {
		return nil, err
	}
	s.accessgrants, err = accessgrants.New(accessgrants.Config{
		Region: cfg.Region, Directory: s.identity, Sessions: grantSessions{s.sts}, Catalogue: known,
	})
	if err != nil {
		return nil, err
	}

	s.ec2, err = ec2.New(ec2.Config{
		Region: cfg.Region, Logs: flowLogs{s}, Now: s.now, Catalogue: known, SameOrganization: s.organizations.Together,
		Accounts: func(_ context.Context, q store.Querier) ([]string, error) { return s.organizations.Open(q) },
		Happened: func(ctx context.Context, e api.Event, change func(*store.Tx) error) error {
			return s.door.Happened(ctx, e, change)
		},
	})
	if err != nil {
		return nil, err
	}
	s.logs, err = logs.New(logs.Config{Region: cfg.Region, Begin: func(ctx context.Context, claim api.Claim, via string) (*api.Call, error) {
		return s.door.Begin(ctx, claim, via)
	}})
	if err != nil {
		return nil, err
	}
	if s.cloudtrail, err = cloudtrail.New(s.trails(keys["cloudtrail"])); err != nil {
		return nil, err
	}
	s.host = host.NewClient(cfg.Data)
	s.sagemaker, err = sagemaker.New(sagemaker.Config{
		Region: cfg.Region, Key: keys["sagemaker"], Door: s.Door, Machines: s.host, Network: s.ec2, S3Endpoint: s.s3Endpoint,
		Sessions: sessions{s.sts}, CA: s.workloadCA.pem,
		RetireGrants: func(ctx context.Context, role api.Claim, name string) error {
			return s.kms.RetireNamed(ctx, s.store, role, name)
		},
		Trouble: func(job string, err error) { log.Warn("a step of a job is tried again", "job", job, "err", err) },
	})
	if err != nil {
		return nil, err
	}

	// Who decides, and the door.
	authorizer, err := authz.New(authz.Sources{
		Principals:   s.iam,
		Organization: s.organizations,
		Directory:    s.identity,
		Assignments:  s.identity,
		Endpoints:    s.ec2,
		Catalogue:    known,
		Region:       cfg.Region,
		ServicePolicies: servicePolicies{
			"organizations.amazonaws.com": organizations.ServicePolicy(),
			"sagemaker.amazonaws.com":     sagemaker.ServicePolicy(),
			identity.Principal:            identity.ServicePolicy(),
			identity.SourcePrincipal:      identity.SourcePolicy(),
			scim.Principal:                scim.ServicePolicy(),
			signin.Principal:              signin.ServicePolicy(),
		},
	})
	if err != nil {
		return nil, err
	}
	s.door, err = api.New(api.Config{
		Store:       s.store,
		Trail:       s.trail,
		Authorizer:  authorizer,
		Credentials: map[string]api.Credentials{"AKIA": s.iam, "ASIA": s.sts},
		Services:    s.services(),
		Hosts:       append([]string{"localhost"}, cfg.Hosts...),
		Region:      cfg.Region,
		Account:     cfg.AccountID,
		Now:         s.now,
		Messages:    s.sts.SealMessage,
		Log:         log,
		Used:        s.iam.Used,
	})
	if err != nil {
		return nil, err
	}
	s.places = &places{
		host: s.host, door: s.door, credentials: workloads{s.sagemaker}, tls: (&certificates{ca: s.workloadCA, now: s.now}).config(),
		again: s.ec2.Again, flows: s.deliverFlows, queries: s.deliverQueries, ways: newWays(s, cfg.AllowEgress), log: log,
	}
	return s, nil
}

// samlRecipients are the addresses, as configured, to which a SAML provider may send
// people for here.
func samlRecipients(cfg config.Config) []string {
	to := []string{"https://" + cfg.Region + ".signin.aws.amazon.com/saml"}
	for _, host := range cfg.Hosts {
		to = append(to, "https://"+host+"/saml")
	}
	return to
}

// services lists what exists.
func (s *Server) services() []*api.Service {
	list := []*api.Service{
		s.iam.API(), s.sts.API(), s.organizations.API(), s.kms.API(), s.s3.API(), s.accessgrants.API(),
		s.cloudtrail.API(), s.signin.API(), s.signin.SignInAPI(), s.signin.PortalAPI(), s.ec2.API(), s.logs.API(), s.sagemaker.API(),
	}
	return append(list, s.identity.APIs()...)
}

// Memory says how much of the memory for keys is locked.
func (s *Server) Memory() locked.Status { return s.memory.Status() }

// Door is the way in for what runs beside the listeners.
func (s *Server) Door() *api.Door { return s.door }

// Close ends what Open began.
func (s *Server) Close() error {
	var errs []error
	if s.places != nil {
		s.places.close()
	}
	if s.host != nil {
		s.host.Close()
	}
	if s.blobs != nil {
		errs = append(errs, s.blobs.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	if s.ring != nil {
		errs = append(errs, s.ring.Close())
	}
	return errors.Join(errs...)
}

// recordSigner derives the key that signs the record's checkpoints. Its public
// half is what verifiers hold.
func recordSigner(cfg config.Config, seed seal.Key) (ledger.Signer, error) {
	key := ed25519.NewKeyFromSeed(seed[:])
	return ledger.NewSigner(fmt.Sprintf("bawn.dev/%s/%s", cfg.AccountID, cfg.Region), key)
}

type servicePolicies map[string][]policy.Doc

// ServicePolicy says what a service of Bawn may do on its own.
func (p servicePolicies) ServicePolicy(principal string) []policy.Doc { return p[principal] }

// Trail is the record.
func (s *Server) Trail() *trail.Trail { return s.trail }
