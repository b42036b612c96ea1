// Package icloud examines what signs this machine in to iCloud: the settings
// and daemons of a Mac or a PC, and the open clients. It reads what they keep
// and say; no server of the provider is ever asked with a credential.
//
//	clients/  the open clients, offline from their files
//	mac/, pc/ Apple's own software
//	texts/    what an error text means
//	guide/    the whole procedure, step by step
package icloud
