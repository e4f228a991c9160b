package service

// A CaseAuthority says who may approve cases here.
type CaseAuthority struct{}
