// Package s3test is an S3 server for tests, over real HTTP: what the store asks of a bucket (put, get, ranges,
// head, delete, list, multipart uploads, conditions, checksums), and the ways in which a bucket fails. It must not know
// who uses it.
package s3test

import (
	"bufio"
	"cmp"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "gocloud.dev/blob/s3blob" // s3:// for those who test with it
)

// Fault is one way in which a request fails.
type Fault int

// The faults. Lost and those before it are answered by an error or not at all, the others spoil what is sent back.
const (
	None     Fault = iota
	Internal       // 500, nothing was done
	SlowDown       // 503, nothing was done
	Cut            // the connection is cut before anything was done
	Lost           // it was done, and the connection is cut before the answer
	Half           // the body of the answer is cut off in its middle
	Flip           // a bit of the body of the answer is another
	Slow           // the body comes in pieces, with pauses
	Full           // 507, no room for a write
	Denied         // 403, nothing was done
)

const bucket = "harmstack"

// Server is one S3 server with one bucket.
type Server struct {
	// URL opens the bucket as a store.
	URL string

	mu       sync.Mutex
	objects  map[string]object
	uploads  map[string]*upload
	requests int
	copies   int
	fault    func(n int, r *http.Request) Fault
	lax      bool
}

type object struct {
	data     []byte
	etag     string
	crc      string
	meta     http.Header
	modified time.Time
}

type upload struct {
	key   string
	meta  http.Header
	parts map[int][]byte
}

// New starts a server that ends with the test. It gives the process the environment of a client, with
// credentials that nobody checks.
func New(t testing.TB) *Server {
	s := &Server{objects: map[string]object{}, uploads: map[string]*upload{}}
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"} {
		if err := os.Setenv(name, value); err != nil { // not t.Setenv: parallel tests do no harm with equal values
			t.Fatal(err)
		}
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
	})
	s.URL = "s3://" + bucket + "?" + url.Values{
		"endpoint":       {h.URL},
		"region":         {"eu-west-2"},
		"use_path_style": {"true"},
	}.Encode()
	return s
}

// Inject asks fault about every request from now on, n counting from 1; nil: all is well again.
func (s *Server) Inject(fault func(n int, r *http.Request) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.requests = fault, 0
}

// IgnoreConditions makes the server one that knows no conditional writes, and answers as if it did.
func (s *Server) IgnoreConditions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lax = true
}

// Requests counts the requests since the last Inject.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Copies counts the objects that the server copied by itself.
func (s *Server) Copies() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copies
}

// Keys are the keys of all objects, sorted.
func (s *Server) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

// Damage changes a stored object behind everybody's back.
func (s *Server) Damage(key string, change func([]byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = newObject(change(slices.Clone(s.objects[key].data)), s.objects[key].meta)
}

// Age makes an object look as if it had been written that much earlier.
func (s *Server) Age(key string, by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[key]
	o.modified = o.modified.Add(-by)
	s.objects[key] = o
}

func newObject(data []byte, meta http.Header) object {
	sum := md5.Sum(data)
	return object{
		data:     data,
		etag:     hex.EncodeToString(sum[:]),
		crc:      checksum(data),
		meta:     meta,
		modified: time.Now().UTC(),
	}
}

func checksum(data []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(data)))
}

// refusal is an error in S3's words.
type refusal struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
	status  int
}

func (e *refusal) Error() string { return e.Code }

func refuse(status int, code string) error {
	return &refusal{Code: code, Message: "by the test", status: status}
}

// ServeHTTP is the S3 API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(r)
	if err != nil {
		panic(http.ErrAbortHandler) // the client went away
	}
	s.mu.Lock()
	s.requests++
	fault := None
	if s.fault != nil {
		fault = s.fault(s.requests, r)
	}
	s.mu.Unlock()
	switch fault {
	case Internal:
		err = refuse(http.StatusInternalServerError, "InternalError")
	case SlowDown:
		err = refuse(http.StatusServiceUnavailable, "SlowDown")
	case Full:
		err = refuse(http.StatusInsufficientStorage, "XMinioStorageFull")
	case Denied:
		err = refuse(http.StatusForbidden, "AccessDenied")
	case Cut:
		panic(http.ErrAbortHandler)
	}
	var a answer
	if err == nil {
		a, err = s.answer(r, body)
	}
	if fault == Lost {
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		fail, ok := err.(*refusal)
		if !ok {
			fail = refuse(http.StatusBadRequest, "InvalidRequest").(*refusal)
		}
		a = answer{status: fail.status}
		if r.Method != http.MethodHead {
			a.body, _ = xml.Marshal(fail)
		}
	}
	a.send(w, r, fault)
}

// readBody reads a body and takes the chunks' signatures and trailers off it.
func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil || !strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") {
		return body, err
	}
	var data []byte
	for in := bufio.NewReader(strings.NewReader(string(body))); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		hexSize, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		size, err := strconv.ParseInt(hexSize, 16, 64)
		if err != nil {
			return nil, err
		}
		if size == 0 {
			return data, nil
		}
		chunk := make([]byte, size+2)
		if _, err := io.ReadFull(in, chunk); err != nil {
			return nil, err
		}
		data = append(data, chunk[:size]...)
	}
}

type answer struct {
	status int
	header http.Header
	body   []byte
	length int // of a HEAD
}

func (a answer) send(w http.ResponseWriter, r *http.Request, fault Fault) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(cmp.Or(a.length, len(a.body))))
	w.WriteHeader(cmp.Or(a.status, http.StatusOK))
	if r.Method == http.MethodHead {
		return
	}
	switch fault {
	case Half:
		_, _ = w.Write(a.body[:len(a.body)/2])
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		panic(http.ErrAbortHandler)
	case Flip:
		if a.body = slices.Clone(a.body); len(a.body) > 0 {
			a.body[len(a.body)/2] ^= 1
		}
	case Slow:
		for piece := range slices.Chunk(a.body, max(1, len(a.body)/5)) {
			_, _ = w.Write(piece)
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
		return
	}
	_, _ = w.Write(a.body)
}

func (s *Server) answer(r *http.Request, body []byte) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if name != bucket {
		return answer{}, refuse(http.StatusNotFound, "NoSuchBucket")
	}
	q := r.URL.Query()
	switch {
	case key == "" && r.Method == http.MethodGet:
		return s.list(q)
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		return s.get(key, r)
	case r.Method == http.MethodPost && q.Has("uploads"):
		id := strconv.Itoa(len(s.uploads) + 1)
		s.uploads[id] = &upload{key, metadata(r), map[int][]byte{}}
		return xmlAnswer(struct {
			XMLName               xml.Name `xml:"InitiateMultipartUploadResult"`
			Bucket, Key, UploadId string
		}{Bucket: bucket, Key: key, UploadId: id})
	case q.Has("uploadId"):
		return s.multipart(r, key, q, body)
	case r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") != "":
		return s.copy(r, key)
	case r.Method == http.MethodPut:
		if err := intact(r, body); err != nil {
			return answer{}, err
		}
		return s.put(r, key, newObject(body, metadata(r)))
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
		return answer{status: http.StatusNoContent}, nil
	}
	return answer{}, refuse(http.StatusNotImplemented, "NotImplemented")
}

func metadata(r *http.Request) http.Header {
	meta := http.Header{}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Meta-") || name == "Content-Type" {
			meta[name] = values
		}
	}
	return meta
}

// intact holds what arrived against the checksum that came with it.
func intact(r *http.Request, body []byte) error {
	if want := r.Header.Get("X-Amz-Checksum-Crc32"); want != "" && want != checksum(body) {
		return refuse(http.StatusBadRequest, "BadDigest")
	}
	return nil
}

func (s *Server) put(r *http.Request, key string, o object) (answer, error) {
	if _, there := s.objects[key]; there && !s.lax && r.Header.Get("If-None-Match") == "*" {
		return answer{}, refuse(http.StatusPreconditionFailed, "PreconditionFailed")
	}
	s.objects[key] = o
	return answer{header: http.Header{"Etag": {strconv.Quote(o.etag)}}}, nil
}

// copy is a copy that the server makes by itself.
func (s *Server) copy(r *http.Request, key string) (answer, error) {
	source, err := url.QueryUnescape(r.Header.Get("X-Amz-Copy-Source"))
	o, there := s.objects[strings.TrimPrefix(source, bucket+"/")]
	if err != nil || !there {
		return answer{}, refuse(http.StatusNotFound, "NoSuchKey")
	}
	s.copies++
	s.objects[key] = newObject(o.data, o.meta)
	return xmlAnswer(struct {
		XMLName      xml.Name `xml:"CopyObjectResult"`
		ETag         string
		LastModified time.Time
	}{ETag: strconv.Quote(o.etag), LastModified: o.modified})
}

func (s *Server) get(key string, r *http.Request) (answer, error) {
	o, there := s.objects[key]
	if !there {
		return answer{}, refuse(http.StatusNotFound, "NoSuchKey")
	}
	a := answer{
		header: http.Header{"Etag": {strconv.Quote(o.etag)}, "Last-Modified": {o.modified.Format(http.TimeFormat)}},
		body:   o.data,
		length: len(o.data),
	}
	maps.Copy(a.header, o.meta)
	from, to, ranged := strings.Cut(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-")
	if !ranged {
		a.header["X-Amz-Checksum-Crc32"] = []string{o.crc}
		return a, nil
	}
	first, err := strconv.Atoi(from)
	last, lastErr := strconv.Atoi(to)
	if lastErr != nil || last >= len(o.data) {
		last = len(o.data) - 1
	}
	if err != nil || first > last {
		return answer{}, refuse(http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
	}
	a.status, a.body, a.length = http.StatusPartialContent, o.data[first:last+1], last+1-first
	a.header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(o.data)))
	return a, nil
}

func (s *Server) multipart(r *http.Request, key string, q url.Values, body []byte) (answer, error) {
	u := s.uploads[q.Get("uploadId")]
	if u == nil || u.key != key {
		return answer{}, refuse(http.StatusNotFound, "NoSuchUpload")
	}
	switch r.Method {
	case http.MethodPut:
		if err := intact(r, body); err != nil {
			return answer{}, err
		}
		number, err := strconv.Atoi(q.Get("partNumber"))
		if err != nil {
			return answer{}, err
		}
		u.parts[number] = body
		return answer{header: http.Header{"Etag": {strconv.Quote(newObject(body, nil).etag)}}}, nil
	case http.MethodDelete:
		delete(s.uploads, q.Get("uploadId"))
		return answer{status: http.StatusNoContent}, nil
	}
	var whole []byte
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		whole = append(whole, u.parts[number]...)
	}
	o := newObject(whole, u.meta)
	o.etag += "-" + strconv.Itoa(len(u.parts))
	if _, err := s.put(r, key, o); err != nil {
		return answer{}, err
	}
	delete(s.uploads, q.Get("uploadId"))
	return xmlAnswer(struct {
		XMLName           xml.Name `xml:"CompleteMultipartUploadResult"`
		Bucket, Key, ETag string
	}{Bucket: bucket, Key: key, ETag: strconv.Quote(o.etag)})
}

type contents struct {
	Key, ETag    string
	LastModified time.Time
	Size         int
}

func (s *Server) list(q url.Values) (answer, error) {
	page := struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Name, Prefix          string
		KeyCount              int
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []contents
		CommonPrefixes        []struct{ Prefix string }
	}{Name: bucket, Prefix: q.Get("prefix")}
	limit, err := strconv.Atoi(cmp.Or(q.Get("max-keys"), "1000"))
	if err != nil {
		return answer{}, err
	}
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		if !strings.HasPrefix(key, page.Prefix) || key <= q.Get("continuation-token") {
			continue
		}
		if page.KeyCount == limit {
			page.IsTruncated, page.NextContinuationToken = true, page.Contents[limit-1].Key
			break
		}
		if folder, _, in := strings.Cut(key, "/"); in && q.Get("delimiter") == "/" &&
			page.Prefix == "" { // all that anybody asks for
			if n := len(page.CommonPrefixes); n == 0 || page.CommonPrefixes[n-1].Prefix != folder+"/" {
				page.CommonPrefixes = append(page.CommonPrefixes, struct{ Prefix string }{folder + "/"})
			}
			continue
		}
		o := s.objects[key]
		page.Contents = append(page.Contents, contents{key, strconv.Quote(o.etag), o.modified, len(o.data)})
		page.KeyCount++
	}
	return xmlAnswer(page)
}

func xmlAnswer(v any) (answer, error) {
	data, err := xml.Marshal(v)
	return answer{header: http.Header{"Content-Type": {"application/xml"}}, body: data}, err
}

// Before is another address of the same bucket: whoever uses it finds that do happened just before its first request for
// which when holds. By that two processes meet where they must not harm each other.
func (s *Server) Before(t testing.TB, when func(*http.Request) bool, do func()) (storeURL string) {
	var once sync.Once
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if when(r) {
			once.Do(do)
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
	})
	place, query, _ := strings.Cut(s.URL, "?")
	options, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	options.Set("endpoint", h.URL)
	return place + "?" + options.Encode()
}
