// See languages_test.cpp for what it prints.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"sync"
)

const site = "https://api.example.test"

func check(err error) {
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
}

func request(method, path string, body io.Reader) (*http.Response, []byte) {
	r, err := http.NewRequest(method, site+path, body)
	check(err)
	trace := httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		fmt.Println("interim", code, header.Get("Link"))
		return nil
	}}
	response, err := http.DefaultClient.Do(r.WithContext(httptrace.WithClientTrace(r.Context(), &trace)))
	check(err)
	content, err := io.ReadAll(response.Body)
	check(err)
	return response, content
}

func print(what, method, path string, body io.Reader) *http.Response {
	response, content := request(method, path, body)
	fmt.Println(what, response.Proto, response.StatusCode, strings.TrimSpace(string(content)))
	return response
}

func main() {
	print("get", "GET", "/echo/get", nil)
	print("post", "POST", "/echo/post", strings.NewReader("from the sandbox"))

	var all sync.WaitGroup
	sizes := make([]int, 8)
	for i := range sizes {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			_, content := request("GET", "/bytes/100000", nil)
			sizes[i] = len(content)
		}(i)
	}
	all.Wait()
	sum := 0
	for _, size := range sizes {
		sum += size
	}
	fmt.Println("many", sum)

	print("upload", "POST", "/sha256", bytes.NewReader(bytes.Repeat([]byte("u"), 3_000_000)))
	print("hints", "GET", "/hints", nil)
	fmt.Println("trailer", print("trailers", "GET", "/trailers", nil).Trailer.Get("X-Checksum"))
	print("refused", "GET", "/refused", nil)
}
