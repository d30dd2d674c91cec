// SPDX-License-Identifier: Apache-2.0

// Package tap writes TAP version 13 (testanything.org).
//
// OCI runtime-tools writes its results with the calls of github.com/mndrix/tap-go, which Debian does
// not package. This is our own package with the functions that it calls.
package tap

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// T numbers the results of one stream; a copy shares the count.
type T struct {
	results *int
	todo    bool
}

// New starts a stream; nothing is written yet.
func New() *T {
	return &T{results: new(int)}
}

// Header writes the version, and the plan if it is known: count results will follow.
func (t *T) Header(count int) {
	fmt.Println("TAP version 13")
	if count > 0 {
		fmt.Printf("1..%d\n", count)
	}
}

// AutoPlan writes the plan after the results.
func (t *T) AutoPlan() {
	fmt.Printf("1..%d\n", *t.results)
}

// Ok writes one result.
func (t *T) Ok(passed bool, description string) {
	*t.results++
	word, directive := "ok", ""
	if !passed {
		word = "not ok"
	}
	if t.todo {
		directive = " # TODO"
	}
	fmt.Printf("%s %d%s - %s\n", word, *t.results, directive, description)
}

// Pass writes an ok result.
func (t *T) Pass(description string) {
	t.Ok(true, description)
}

// Fail writes a not ok result.
func (t *T) Fail(description string) {
	t.Ok(false, description)
}

// Skip writes count skipped results.
func (t *T) Skip(count int, reason string) {
	for i := 0; i < count; i++ {
		*t.results++
		fmt.Printf("ok %d # SKIP %s\n", *t.results, reason)
	}
}

// Todo returns a stream whose failures are expected.
func (t *T) Todo() *T {
	return &T{results: t.results, todo: true}
}

// Diagnostic writes a comment.
func (t *T) Diagnostic(text string) {
	fmt.Println("# " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n# "))
}

// Diagnosticf writes a comment.
func (t *T) Diagnosticf(format string, arguments ...interface{}) {
	t.Diagnostic(fmt.Sprintf(format, arguments...))
}

// YAML writes details of the last result. JSON is YAML, and needs no library.
func (t *T) YAML(value interface{}) error {
	text, err := json.MarshalIndent(value, "  ", "  ")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "  ---\n  %s\n  ...\n", text)
	return nil
}
