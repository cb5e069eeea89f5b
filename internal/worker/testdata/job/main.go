// Command job is a training job for tests: it reads its input, waits if it is told
// to, writes a model and ends with the status that it was given.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

func main() {
	for _, verb := range os.Args[1:] {
		switch verb {
		case "train":
			train()
		case "wait":
			wait()
		case "traps":
			traps()
		case "network":
			network()
		default:
			code, err := strconv.Atoi(verb)
			check(err)
			os.Exit(code)
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(99)
	}
}

// train counts its runs on the volume and copies its input to its model.
func train() {
	in, err := os.ReadFile("/opt/ml/input/data/train/set.csv")
	check(err)
	runs, err := os.OpenFile("/opt/ml/model/runs", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	check(err)
	_, err = runs.WriteString("run\n")
	check(err)
	check(os.MkdirAll("/opt/ml/model/deep/er", 0o755))
	check(os.WriteFile("/opt/ml/model/deep/er/weights", in, 0o640))
	check(os.WriteFile("/opt/ml/output/failure", []byte("none really"), 0o644))
	fmt.Println("trained")
}

func wait() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	fmt.Println("ready")
	<-signals
	fmt.Println("stopped")
}

// traps leaves what an archiver should not follow.
func traps() {
	for name, target := range map[string]string{
		"passwd": "/etc/passwd", "up": "../../..", "spec": "../.bawn.spec", "self": ".", "proc": "/proc/self/environ",
	} {
		check(os.Symlink(target, filepath.Join("/opt/ml/model", name)))
	}
	check(syscall.Mkfifo("/opt/ml/model/pipe", 0o666))
	l, err := net.Listen("unix", "/opt/ml/model/socket")
	check(err)
	_ = l // its file stays when we end
	check(os.Remove("/opt/ml/output/failure"))
	check(os.Symlink("/etc/passwd", "/opt/ml/output/failure"))
}

// network asks for credentials, and tries an address outside.
func network() {
	client := &http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get("http://169.254.170.2" + os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"))
	check(err)
	text, err := io.ReadAll(bufio.NewReader(resp.Body))
	check(err)
	fmt.Println("credentials", resp.StatusCode, string(text))
	conn, err := net.DialTimeout("tcp", "192.0.2.1:443", time.Second)
	if err == nil {
		conn.Close()
		fmt.Println("outside REACHED")
	}
}
