{{/* A policy's name and what it is about: {chart, name, resources}. The first lines of its spec are the same for all. */}}
{{- define "kastellan.policy" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ include "kastellan.fullname" .chart }}-{{ .name }}
  labels:
    {{- include "kastellan.labels" .chart | nindent 4 }}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - apiGroups: [zitadel.kastellan.dev]
        apiVersions: ["*"]
        operations: [CREATE, UPDATE]
        resources:
          {{- toYaml .resources | nindent 10 }}
{{- end -}}

{{/* Only what is new is judged: an object that was there before keeps its finalizers, its labels and the right to be deleted. */}}
{{- define "kastellan.changesOfSpec" }}
  matchConditions:
    - name: its-spec-is-new
      expression: request.operation == "CREATE" || object.spec != oldObject.spec
{{- end -}}

{{/* Where a policy counts: {chart, name}. */}}
{{- define "kastellan.policyBinding" }}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ include "kastellan.fullname" .chart }}-{{ .name }}
  labels:
    {{- include "kastellan.labels" .chart | nindent 4 }}
spec:
  policyName: {{ include "kastellan.fullname" .chart }}-{{ .name }}
  validationActions:
    {{- toYaml .chart.Values.admission.validationActions | nindent 4 }}
  {{- with .chart.Values.operator.watchNamespaces }}
  matchResources:
    namespaceSelector:
      matchExpressions:
        - key: kubernetes.io/metadata.name
          operator: In
          values:
            {{- toYaml . | nindent 12 }}
  {{- end }}
{{- end -}}

{{/* The plurals of the kinds whose spec has a field: {chart, field}. */}}
{{- define "kastellan.pluralsWith" -}}
{{- $plurals := list -}}
{{- range $path, $_ := .chart.Files.Glob "files/crds/*.yaml" -}}
{{- $crd := $.chart.Files.Get $path | fromYaml -}}
{{- $spec := (first $crd.spec.versions).schema.openAPIV3Schema.properties.spec -}}
{{- if hasKey $spec.properties $.field -}}
{{- $plurals = append $plurals $crd.spec.names.plural -}}
{{- end -}}
{{- end -}}
{{- toYaml $plurals -}}
{{- end -}}
