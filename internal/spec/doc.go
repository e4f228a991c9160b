// Command spec writes docs/spec.md: for each section of the standards we
// follow, which files enforce it and which tests cite it; and
// docs/requirements.md: what is promised of layered keys, and which test proves it.
//
//	comments and strings --citations--> (document, section, file)
//	sections.go ---------------------------------+--> docs/spec.md
//	names of tests --ids--+
//	requirements.go ------+--> docs/requirements.md
//
// It knows how a citation is written (RFC 9420, Section 12.4.2) and the
// sections of RFC 9420. It must not know whether code does what it cites: that
// is what the cited tests are for.
package main
