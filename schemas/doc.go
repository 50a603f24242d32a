// Package schemas is the contract of Harmstack in Go: the columns of an extract, the dispositions of
// its rows, the rows of every file a night leaves behind, the manifest, the model and the requests.
//
// It holds types, validation and constants only. It must not know Temporal, the artefact store or anything else outside
// schemas: every other room imports this one. What lies below it and is imported here (fault, text, yamlfile) knows
// nothing of the contract.
package schemas
