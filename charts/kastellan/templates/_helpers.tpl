{{- define "kastellan.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What serves one shard is named after it: `.shard`, which is empty for the operator that serves the rest. */}}
{{- define "kastellan.operatorName" -}}
{{- if .shard -}}
{{- printf "%s-%s" (include "kastellan.fullname" . | trunc 42 | trimSuffix "-") .shard -}}
{{- else -}}
{{- include "kastellan.fullname" . -}}
{{- end -}}
{{- end -}}

{{/* An operator for each shard, and one for the rest: the template of this name for each of them. */}}
{{- define "kastellan.forEachShard" -}}
{{- range $shard := concat (list "") .root.Values.operator.shards }}
---
{{ include $.template (merge (dict "shard" $shard) $.root) }}
{{- end }}
{{- end -}}

{{- define "kastellan.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}{{ with .shard }}-{{ . }}{{ end }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kastellan.labels" -}}
{{ include "kastellan.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "kastellan.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "kastellan.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The plurals of all kinds: read from the CRDs, so that a new kind needs no change here. */}}
{{- define "kastellan.plurals" -}}
{{- $crds := .Files.Glob "files/crds/*.yaml" -}}
{{- if not $crds -}}
{{- fail "the chart holds no CRDs in files/crds: it was copied or packaged incompletely" -}}
{{- end -}}
{{- $plurals := list -}}
{{- range $path, $_ := $crds -}}
{{- $plurals = append $plurals ($.Files.Get $path | fromYaml).spec.names.plural -}}
{{- end -}}
{{- toYaml $plurals -}}
{{- end -}}

{{- define "kastellan.statuses" -}}
{{- $statuses := list -}}
{{- range include "kastellan.plurals" . | fromYamlArray -}}
{{- $statuses = append $statuses (printf "%s/status" .) -}}
{{- end -}}
{{- toYaml $statuses -}}
{{- end -}}
