package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"parley/mls/suite"
)

// The sizes of rooms that bench mls takes.
const (
	fewestMembers = 8
	mostMembers   = 100_000
)

// xwing is how X-Wing may be called at --suite.
const xwing = "xwing"

// mlsBench is what bench mls was asked for.
type mlsBench struct {
	*bench
	suite   *suite.Suite
	size    int     // bytes of a message
	seconds float64 // for each operation
	long    bool    // whoever waits is told what is being done, terminal or not
	coi     bool    // only what a key record adds to a commit
	crowd   *crowd
	results []*mlsResult
}

// mlsFlags are the flags of bench mls.
type mlsFlags struct {
	members          []int
	shapes, suites   []string
	all, coi         bool
	markdown, holdIn string
}

func benchMLSCommand(a *app) *cobra.Command {
	var f mlsFlags
	b := mlsBench{}
	cmd := &cobra.Command{
		Use:   "mls",
		Short: "Measure RFC 9420: add, join, commit, process, seal, open",
		Long: `Mls measures what one device does in a room of N members, without any network:

  sign verify hpke_seal hpke_open derive_key   what everything else is made of
  add              one commit that adds the N-1 others to a group of one (shape bulk only)
  join             by Welcome, with the whole tree verified; bytes: tree and Welcome
  commit           new keys from the own leaf to the root; bytes: the commit
  process          that commit, by a member of the other half of the tree, as half are
  process_sibling  that commit, by the member next to the committer: the most work there is
  remove           a commit that removes a member, remove_process its processing
  group_info       what outsiders join by
  external_join    a commit by which an outsider adds itself, external_process its processing
  seal, open       one message
  records          what a device writes down for a commit that it processes, own_records
                   for one of its own; bytes: keys and values
  commit_plain     commit as above, taken in turns with the next, so that both have the same
                   machine, in rooms of shape warm; bytes: body of the log's entry
  commit_record    that commit in a room with a CoI: with its key record, for one P-256
                   certificate, an X-Wing seal inside in suites against quantum computers
  record           of that the record alone: one envelope, one signature
  tree             the whole tree encoded; bytes: its size
  resident         the memory of a process that holds this one member, after a collection;
                   bytes: what Linux calls VmRSS; idle is the same before it had the member,
                   anonymous what Linux calls RssAnon: without pages of the program's file
  live             the heap in use in that process

What has many signatures or seals is measured on one processor and on all there are. Cpu_ms
is what one takes of all processors together, the collection of garbage included. Commit and
process include the records that a device has to store before it goes on, seal and open too.

The shape of a room is what its members have done before:

  bulk     all were added in one commit and nobody has committed since
  batched  they were added in ten commits, each by another member
  warm     every node of the tree has a key, no leaf is unmerged
  churned  as warm, and then members were removed, added and updated at random

` + benchHelp,
		Args: arguments(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.holdIn != "" {
				return holdMember(a, f.holdIn)
			}
			b.bench, b.long, b.coi = newBench(a), f.all, f.coi
			return b.run(cmd.Context(), &f)
		},
	}
	flags := cmd.Flags()
	flags.IntSliceVar(&f.members, "members", []int{100, 1000, 10000}, "sizes of the room")
	flags.StringSliceVar(&f.shapes, "shape", []string{shapeWarm}, "shapes of the room: "+strings.Join(shapes, ", "))
	flags.StringSliceVar(&f.suites, "suite", []string{"1"}, "numbers of cipher suites, or "+xwing)
	flags.IntVar(&b.size, "size", 300, "bytes of a message")
	flags.Float64Var(&b.seconds, "seconds", 1, "how long each operation is repeated")
	flags.BoolVar(&f.all, "all", false, "everything that docs/benchmarks.md has: some minutes")
	flags.BoolVar(&f.coi, "coi", false, "measure only commit_plain, commit_record and record, in rooms of any shape")
	flags.StringVar(&f.markdown, "markdown", "", "put the tables into this file, between its marks")
	flags.StringVar(&f.holdIn, "hold", "", "be a member and tell the memory that takes")
	flags.Lookup("hold").Hidden = true // for this program itself
	return cmd
}

// A mlsRoom is one room to be measured.
type mlsRoom struct {
	suite   *suite.Suite
	members int
	shape   string
}

// rooms are those that were asked for, by suite.
func (f *mlsFlags) rooms() ([]mlsRoom, error) {
	if f.all {
		return allRooms()
	}
	var list []mlsRoom
	for _, name := range f.suites {
		s, err := suiteNamed(name)
		if err != nil {
			return nil, err
		}
		for _, n := range f.members {
			if n < fewestMembers || n > mostMembers {
				return nil, usagef("--members %d: a room of %d to %d members can be measured", n, fewestMembers, mostMembers)
			}
			for _, shape := range f.shapes {
				if !slices.Contains(shapes, shape) {
					return nil, usagef("--shape %s: there are %s", shape, strings.Join(shapes, ", "))
				}
				list = append(list, mlsRoom{s, n, shape})
			}
		}
	}
	return list, nil
}

// suiteNamed finds a cipher suite.
func suiteNamed(name string) (*suite.Suite, error) {
	if name == xwing {
		return suite.Lookup(suite.MLKEM768X25519AES128SHA256Ed25519)
	}
	id, err := strconv.ParseUint(name, 0, 16)
	if err != nil {
		return nil, usagef("--suite %s: it is a number, or %s", name, xwing)
	}
	s, err := suite.Lookup(suite.ID(id))
	if err != nil {
		return nil, usagef("--suite: %w; there are %v, and %s", err, suite.IDs(), xwing)
	}
	return s, nil
}

// allRooms are those of docs/benchmarks.md. A size of 5,000 is there for the
// growth from it to 50,000.
func allRooms() (list []mlsRoom, err error) {
	for _, name := range []string{"1", xwing} {
		s, err := suiteNamed(name)
		if err != nil {
			return nil, err
		}
		for _, n := range []int{1_000, 5_000, 10_000, 50_000} {
			for _, shape := range shapes {
				if n != 5_000 || shape == shapeWarm {
					list = append(list, mlsRoom{s, n, shape})
				}
			}
		}
	}
	return list, nil
}

// run measures all that was asked for.
func (b *mlsBench) run(ctx context.Context, f *mlsFlags) error {
	list, err := f.rooms()
	if err != nil {
		return err
	}
	most := make(map[*suite.Suite]int)
	for _, r := range list {
		most[r.suite] = max(most[r.suite], r.members)
	}
	for i, r := range list {
		if b.suite != r.suite {
			b.suite = r.suite
			if err := b.begin(ctx, most[r.suite]); err != nil {
				return err
			}
		}
		b.progress("room %d of %d: %s, %d members", i+1, len(list), r.shape, r.members)
		if err := b.room(ctx, r); err != nil {
			return err
		}
	}
	if f.markdown != "" {
		if err := writeBenchmarks(f.markdown, b.results); err != nil {
			return err
		}
	}
	return b.end()
}

// begin measures what a suite is made of, and makes people for its rooms.
func (b *mlsBench) begin(ctx context.Context, most int) (err error) {
	b.crowd = nil // the garbage of the suite before
	b.progress("%s: primitives", b.suite)
	if err := b.primitives(ctx); err != nil {
		return err
	}
	b.progress("%s: keys of %d members", b.suite, most)
	b.crowd, err = newCrowd(b.suite, most)
	return err
}
