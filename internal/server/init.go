package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"bawn.dev/internal/config"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// ErrInitialized says that init has been here before.
var ErrInitialized = errors.New("this data directory is initialized already")

// AdminUser is the first administrator's name.
const AdminUser = "admin"

// Init makes a data directory: keys, CAs, database, organization, and the first
// administrator, whose access key goes into DIR/aws and nowhere else. Killed
// half-way it can be run again; the file that says "initialized" comes last.
func Init(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if _, err := config.Load(cfg.Data); err == nil {
		return ErrInitialized
	} else if !errors.Is(err, config.ErrNotInitialized) {
		return err
	}
	if err := makeDataDirs(cfg); err != nil {
		return err
	}
	s, err := open(ctx, cfg, log, time.Now, true)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.firstAdministrator(ctx); err != nil {
		return err
	}
	return config.Save(cfg.Data, cfg.Fixed)
}

func makeDataDirs(cfg config.Config) error {
	for _, dir := range []string{"", "keys", "blobs", "aws", "run"} {
		if err := os.MkdirAll(cfg.Path(dir), 0o700); err != nil {
			return err
		}
	}
	return checkDirectories(cfg)
}

// checkDirectories refuses a data directory where others may put things: whoever
// can exchange a file there owns all of it. The directory itself may be root's, with
// the sticky bit and our group's right to add to it: that is how one shares it with
// `bawn host`. What lies in it must be ours.
func checkDirectories(cfg config.Config) error {
	for _, dir := range []string{"", "keys", "blobs", "aws", "run"} {
		path := cfg.Path(dir)
		info, err := os.Lstat(path)
		if dir == "" { // itself it may be reached by a link
			info, err = os.Stat(path)
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", path)
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("%s: this system does not say whose it is", path)
		}
		ours := int(st.Uid) == os.Geteuid() || os.Geteuid() == 0
		shared := dir == "" && st.Uid == 0 && info.Mode()&os.ModeSticky != 0 && info.Mode().Perm()&0o002 == 0
		if !ours && !shared {
			return fmt.Errorf("%s belongs to another user (%d), who could put keys of his own there", path, st.Uid)
		}
		if info.Mode().Perm()&0o022 != 0 && !shared {
			return fmt.Errorf("others may write to %s (mode %04o): chmod go-w it, and consider whether they did", path, info.Mode().Perm())
		}
	}
	return nil
}

// firstAdministrator makes the organization and its administrator. The
// credentials are written before the commit: if the commit is there, so are they.
func (s *Server) firstAdministrator(ctx context.Context) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		made, err := s.organizations.Bootstrap(tx, s.cfg.AccountID, "management", s.now())
		if err != nil || !made {
			return err // or: a former init came this far
		}
		id, secret, err := s.iam.Bootstrap(tx, s.cfg.AccountID, AdminUser, s.now())
		if err != nil {
			return err
		}
		if err := s.identity.Bootstrap(tx, s.now()); err != nil {
			return err
		}
		if err := s.writeProfile(id, secret); err != nil {
			return err
		}
		return s.trail.Append(tx, &trail.Record{
			EventTime: s.now(), EventSource: "bawn", EventName: "Init", Region: s.cfg.Region, Account: s.cfg.AccountID,
			UserIdentity: trail.UserIdentity{Type: "Operator", UserName: Operator(), AccountID: s.cfg.AccountID},
			EventType:    "BawnAdministration", ManagementEvent: true,
			Resources: []trail.Resource{{ARN: "arn:aws:iam::" + s.cfg.AccountID + ":user/" + AdminUser, Account: s.cfg.AccountID, Type: "AWS::IAM::User"}},
		})
	})
}

// writeProfile writes DIR/aws/credentials and DIR/aws/config in the shared-file
// format of the AWS tools.
func (s *Server) writeProfile(id, secret string) error {
	data, err := filepath.Abs(s.cfg.Data)
	if err != nil {
		return err
	}
	credentials := fmt.Sprintf("[bawn]\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, secret)
	if err := config.WriteFile(s.cfg.Path("aws", "credentials"), []byte(credentials)); err != nil {
		return err
	}
	profile := fmt.Sprintf("[profile bawn]\nregion = %s\nendpoint_url = %s\nca_bundle = %s\noutput = json\ns3 =\n  signature_version = s3v4\n",
		s.cfg.Region, s.cfg.URL(), filepath.Join(data, caFile))
	return config.WriteFile(s.cfg.Path("aws", "config"), []byte(profile))
}

// lockDirectory keeps a second server off the same directory.
func lockDirectory(cfg config.Config) (*os.File, error) {
	if err := checkDirectories(cfg); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(cfg.Path("run", "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, ErrRunning
	}
	return f, nil
}

// ErrRunning says that another process holds the data directory.
var ErrRunning = errors.New("another bawn process uses this data directory")

// Operator is the name of whoever runs an administration command, as the
// operating system gave it.
func Operator() string {
	for _, name := range []string{"SUDO_USER", "USER", "LOGNAME"} {
		if v := strings.TrimSpace(os.Getenv(name)); v != "" && len(v) <= 64 {
			return v
		}
	}
	return fmt.Sprintf("uid-%d", os.Getuid())
}
