// logcheck verifies our checkpoints and proofs with golang.org/x/mod/sumdb, the code behind the Go checksum
// database. It reads one JSON object and exits 0 where everything in it holds, else 1 with the reason.
//
// Only CheckRecord and CheckTree are used: the tile reader of this package has had flaws of its own.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type input struct {
	Key         string
	Checkpoint  string
	Leaf        []byte
	Index       int64
	Inclusion   [][]byte
	Old         string
	Consistency [][]byte
}

func main() {
	var in input
	check(json.NewDecoder(os.Stdin).Decode(&in))
	size, root := head(in.Checkpoint, in.Key)
	if in.Leaf != nil {
		check(tlog.CheckRecord(hashes(in.Inclusion), size, root, in.Index, tlog.RecordHash(in.Leaf)))
	}
	if in.Old != "" {
		oldSize, oldRoot := head(in.Old, in.Key)
		check(tlog.CheckTree(hashes(in.Consistency), size, root, oldSize, oldRoot))
	}
	fmt.Println("holds")
}

func head(text, key string) (int64, tlog.Hash) {
	verifier, err := note.NewVerifier(key)
	check(err)
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 3 || lines[0] != verifier.Name() {
		check(fmt.Errorf("not a checkpoint of %s", verifier.Name()))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return size, root
}

func hashes(raw [][]byte) []tlog.Hash {
	list := make([]tlog.Hash, len(raw))
	for i, h := range raw {
		if copy(list[i][:], h) != tlog.HashSize || len(h) != tlog.HashSize {
			check(fmt.Errorf("hash %d has %d bytes", i, len(h)))
		}
	}
	return list
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
