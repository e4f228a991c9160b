package mls

import (
	"bytes"
	"testing"

	"parley/mls/internal/vectors"
	"parley/mls/suite"
)

type keyScheduleCase struct {
	Suite       suite.ID           `json:"cipher_suite"`
	GroupID     vectors.Hex        `json:"group_id"`
	InitialInit vectors.Hex        `json:"initial_init_secret"`
	Epochs      []keyScheduleEpoch `json:"epochs"`
}

type keyScheduleEpoch struct {
	TreeHash      vectors.Hex `json:"tree_hash"`
	Commit        vectors.Hex `json:"commit_secret"`
	PSK           vectors.Hex `json:"psk_secret"`
	Confirmed     vectors.Hex `json:"confirmed_transcript_hash"`
	Context       vectors.Hex `json:"group_context"`
	Joiner        vectors.Hex `json:"joiner_secret"`
	Welcome       vectors.Hex `json:"welcome_secret"`
	Init          vectors.Hex `json:"init_secret"`
	SenderData    vectors.Hex `json:"sender_data_secret"`
	Encryption    vectors.Hex `json:"encryption_secret"`
	ExporterKey   vectors.Hex `json:"exporter_secret"`
	Authenticator vectors.Hex `json:"epoch_authenticator"`
	External      vectors.Hex `json:"external_secret"`
	Confirmation  vectors.Hex `json:"confirmation_key"`
	Membership    vectors.Hex `json:"membership_key"`
	Resumption    vectors.Hex `json:"resumption_psk"`
	ExternalPub   vectors.Hex `json:"external_pub"`
	Exporter      struct {
		Label   string      `json:"label"`
		Context vectors.Hex `json:"context"`
		Length  int         `json:"length"`
		Secret  vectors.Hex `json:"secret"`
	} `json:"exporter"`
}

// suiteOf returns the suite of a vector, or counts it as skipped: only the
// suites that the standard library can not do may be.
func suiteOf(t *testing.T, id suite.ID, skipped map[suite.ID]int) *suite.Suite {
	t.Helper()
	if id == 4 || id == 6 {
		skipped[id]++
		return nil
	}
	s, err := suite.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVectorsKeySchedule(t *testing.T) {
	skipped := map[suite.ID]int{}
	vectors.Each(t, "key-schedule.json", func(t *testing.T, c keyScheduleCase) {
		if s := suiteOf(t, c.Suite, skipped); s != nil {
			t.Run(s.String(), func(t *testing.T) { checkKeySchedule(t, s, c) })
		}
	})
	t.Logf("skipped by suite: %v", skipped)
}

func checkKeySchedule(t *testing.T, s *suite.Suite, c keyScheduleCase) {
	initSecret := []byte(c.InitialInit)
	for i, e := range c.Epochs {
		equal := func(what string, got, want []byte) {
			t.Helper()
			if !bytes.Equal(got, want) {
				t.Errorf("epoch %d: %s is %x, want %x", i, what, got, want)
			}
		}
		joiner := deriveJoiner(s, initSecret, e.Commit, e.Context)
		equal("joiner_secret", joiner, e.Joiner)
		member := deriveMember(s, joiner, e.PSK)
		equal("welcome_secret", s.DeriveSecret(member, "welcome"), e.Welcome)
		got := deriveEpoch(s, member, e.Context)
		equal("sender_data_secret", got.senderData, e.SenderData)
		equal("encryption_secret", got.encryption, e.Encryption)
		equal("exporter_secret", got.exporter, e.ExporterKey)
		equal("external_secret", got.external, e.External)
		equal("confirmation_key", got.confirmation, e.Confirmation)
		equal("membership_key", got.membership, e.Membership)
		equal("resumption_psk", got.resumption, e.Resumption)
		equal("epoch_authenticator", got.authenticator, e.Authenticator)
		equal("init_secret", got.init, e.Init)
		exported, err := got.export(s, e.Exporter.Label, e.Exporter.Context, e.Exporter.Length)
		if err != nil {
			t.Fatal(err)
		}
		equal("exported", exported, e.Exporter.Secret)
		external, err := s.DeriveKeyPair(got.external)
		if err != nil {
			t.Fatal(err)
		}
		equal("external_pub", external.PublicKey(), e.ExternalPub)
		initSecret = got.init
	}
}
