// Package schemas is the contract of Harmstack in Go: the columns of an extract, the dispositions of
// its rows, the rows of every file a night leaves behind, the manifest, the model and the requests.
//
// It holds types, validation and constants only. It must not know Temporal, the artefact store or any
// other package of the project: every other package imports this one.
package schemas
