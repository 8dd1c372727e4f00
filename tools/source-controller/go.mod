// Flux's source-controller, for its CRDs alone: nothing of it is built.
module github.com/kastellan-dev/kastellan/tools/source-controller

go 1.26.0

require github.com/fluxcd/source-controller v1.9.6
