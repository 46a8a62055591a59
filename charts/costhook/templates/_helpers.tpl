{{- define "costhook.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "costhook.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "costhook.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change, for selectors: dict "root" . "component" "api". */}}
{{- define "costhook.selector" -}}
app.kubernetes.io/name: {{ include "costhook.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "costhook.labels" -}}
{{ include "costhook.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: costhook
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "costhook.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "costhook.account" -}}
{{- $own := printf "%s-%s" (include "costhook.fullname" .root) .component -}}
{{- $account := (index .root.Values .component).serviceAccount -}}
{{- if $account.create -}}{{ $account.name | default $own }}{{- else -}}{{ $account.name | default "default" }}{{- end -}}
{{- end -}}

{{/* The kinds that the CRDs of this chart define, as resources of the API: "budgets, providers". */}}
{{- define "costhook.kinds" -}}
{{- $names := list -}}
{{- range $path, $_ := .Files.Glob "files/crds/*.yaml" -}}
{{- $names = append $names ($.Files.Get $path | fromYaml).spec.names.plural -}}
{{- end -}}
{{- join ", " $names -}}
{{- end -}}

{{/* The component whose pods serve the API: with the embedded database there is one pod alone. */}}
{{- define "costhook.server" -}}
{{- .Values.database.embedded | ternary "reconciler" "api" -}}
{{- end -}}

{{/* Exactly one way to a database. */}}
{{- define "costhook.database" -}}
{{- $ways := 0 -}}
{{- if .Values.database.existingSecret }}{{ $ways = add1 $ways }}{{ end -}}
{{- if .Values.database.embedded }}{{ $ways = add1 $ways }}{{ end -}}
{{- if .Values.database.cloudnativepg.enabled }}{{ $ways = add1 $ways }}{{ end -}}
{{- if ne (int $ways) 1 -}}
{{- fail "say where the database is, by exactly one of database.existingSecret, database.cloudnativepg.enabled and database.embedded" -}}
{{- end -}}
{{- end -}}

{{- define "costhook.env" -}}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
- name: COSTHOOK_STATE
  value: {{ .Values.database.embedded | ternary "/var/lib/costhook/state" "/tmp/costhook" }}
{{- if .Values.database.existingSecret }}
- name: COSTHOOK_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.database.existingSecret }}, key: {{ .Values.database.existingSecretKey }}}}
{{- else if .Values.database.cloudnativepg.enabled }}
- name: COSTHOOK_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ include "costhook.fullname" . }}-db-app, key: uri}}
{{- end }}
{{- end -}}

{{- define "costhook.podSecurity" -}}
{{- toYaml .Values.podSecurityContext -}}
{{- end -}}

{{- define "costhook.security" -}}
{{- toYaml .Values.securityContext -}}
{{- end -}}

{{/* What both pods have in common: dict "root" . "component" "api". */}}
{{- define "costhook.pod" -}}
{{- $values := index .root.Values .component -}}
serviceAccountName: {{ include "costhook.account" . }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
securityContext: {{- include "costhook.podSecurity" .root | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
{{- range . }}
  - {{ toYaml (merge (dict "labelSelector" (dict "matchLabels" (include "costhook.selector" $ | fromYaml))) .) | nindent 4 | trim }}
{{- end }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if and .root.Values.migrations.enabled (not .root.Values.database.embedded) }}
initContainers:
  - name: migrate
    image: {{ include "costhook.image" .root }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    args: [migrate]
    env: {{- include "costhook.env" .root | nindent 6 }}
    {{- with $values.extraEnv }}{{ toYaml . | nindent 6 }}{{ end }}
    {{- with $values.extraEnvFrom }}
    envFrom: {{- toYaml . | nindent 6 }}
    {{- end }}
    resources: {{- toYaml $values.resources | nindent 6 }}
    securityContext: {{- include "costhook.security" .root | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
      {{- with $values.extraVolumeMounts }}{{ toYaml . | nindent 6 }}{{ end }}
{{- end }}
{{- end -}}

{{/* Image, variables and security of the main container: dict "root" . "component" "api". */}}
{{- define "costhook.container" -}}
{{- $values := index .root.Values .component -}}
image: {{ include "costhook.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
env: {{- include "costhook.env" .root | nindent 2 }}
{{- if and .root.Values.api.enabled (eq .component (include "costhook.server" .root)) }}
  # Whoever the cluster knows is let in, and sees what its RBAC lets them see; API tokens work beside that.
  - {name: COSTHOOK_AUTHENTICATION, value: "true"}
  - {name: COSTHOOK_KUBERNETES, value: in-cluster}
{{- end }}
{{- with $values.extraEnv }}{{ toYaml . | nindent 2 }}{{ end }}
{{- with $values.extraEnvFrom }}
envFrom: {{- toYaml . | nindent 2 }}
{{- end }}
resources: {{- toYaml $values.resources | nindent 2 }}
securityContext: {{- include "costhook.security" .root | nindent 2 }}
{{- end -}}
