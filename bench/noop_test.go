//go:build bench

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
)

// serve is a prediction server whose model costs nothing. Of kind "zeros" it
// reads no more of a request than the number of records, and answers that many
// zeros; of kind "decode" it reads the numbers too, as any server must that is
// to use them; of kind "refuse" it is ready and then lets nobody in.
func serve(address, kind string) {
	predict := map[string]http.HandlerFunc{"zeros": zeros, "decode": decode, "refuse": refuse}[kind]
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			describe(w, r)
			return
		}
		predict(w, r)
	})
	listener, err := net.Listen("tcp", address)
	if err != nil {
		panic(err)
	}
	panic(http.Serve(listener, handler))
}

var manyZeros = bytes.Repeat([]byte("0,"), 1<<16)

// describe answers that the model is ready, and what it takes.
func describe(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v2/models/m" {
		_, _ = io.WriteString(w, `{"name":"m","inputs":[{"name":"input","datatype":"FP64","shape":[-1,4]}]}`)
	}
}

func refuse(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }

func decode(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Inputs []struct {
			Shape []int     `json:"shape"`
			Data  []float64 `json:"data"`
		} `json:"inputs"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil || len(request.Inputs) != 1 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	answer(w, len(request.Inputs[0].Data)/request.Inputs[0].Shape[1])
}

func zeros(w http.ResponseWriter, r *http.Request) {
	body := bufio.NewReaderSize(r.Body, 1<<10)
	head, _ := body.Peek(512)
	_, shape, _ := bytes.Cut(head, []byte(`"shape":`))
	shape = bytes.TrimLeft(shape, " [")
	digits, _, _ := bytes.Cut(shape, []byte(","))
	n, _ := strconv.Atoi(string(digits))
	_, _ = io.Copy(io.Discard, body)
	answer(w, n)
}

// answer predicts 0 for n records.
func answer(w http.ResponseWriter, n int) {
	answer := make([]byte, 0, 128+2*n)
	answer = fmt.Appendf(answer, `{"outputs":[{"name":"score","datatype":"FP64","shape":[%d],"data":[`, n)
	answer = append(answer, manyZeros[:2*n-1]...)
	answer = append(answer, "]}]}"...)
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = w.Write(answer)
}
