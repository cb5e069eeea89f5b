// Command issuer is the sample's identity provider: it stands for the one that a
// deployment has already. It serves discovery on a loopback address and hands out a
// signed token to whoever can read its socket directory, which is the sample.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"bawn.dev/internal/oidctest"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:4690", "loopback address that Bawn asks for keys")
	socket := flag.String("socket", "", "UNIX socket, in a private directory, that hands out tokens")
	flag.Parse()
	issuer, err := oidctest.New()
	if err != nil {
		log.Fatal(err)
	}
	issuer.URL = "http://" + *listen
	os.Remove(*socket) // of one that was killed
	tokens, err := net.Listen("unix", *socket)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		log.Fatal(server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			token, err := issuer.Sign(issuer.Claims(q.Get("aud"), q.Get("sub"), q.Get("email")))
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			fmt.Fprint(w, token)
		})).Serve(tokens))
	}()
	front, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(server(issuer).Serve(front))
}

func server(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
}
