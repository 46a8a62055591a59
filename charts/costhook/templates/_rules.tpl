{{/*
Alerts on Costhook itself; docs/runbooks.md has a section for each. Figures that the API tells come from the ledger, and
every pod of the API tells the same: they are taken once. Their label namespace is the team's; of what is about the release itself it is the release's.
*/}}
{{- define "costhook.rules" -}}
{{- $values := .Values.monitoring.prometheusRule -}}
{{- $name := include "costhook.fullname" . -}}
{{- $reconciler := printf "job=\"%s-reconciler\", namespace=\"%s\"" $name .Release.Namespace -}}
{{- $api := printf "job=\"%s-api\"" $name -}}
{{- $provider := "{{ $labels.namespace }}/{{ $labels.provider }}" -}}
{{- $long := "{{ $value | humanizeDuration }}" -}}
rules:
  - alert: CosthookReconcilerDown
    expr: absent(up{ {{- $reconciler -}} } == 1)
    for: {{ $values.downMinutes }}m
    severity: critical
    namespace: {{ .Release.Namespace }}
    summary: No reconciler of Costhook runs.
    description: Nothing is synced, alerts on costs are not judged, and nobody is told.
  - alert: CosthookWatchSilent
    expr: >-
      time() - min by (kind, watched_namespace) (costhook_watch_begun_timestamp_seconds{ {{- $reconciler -}} }) > 600
    for: 5m
    severity: warning
    namespace: {{ .Release.Namespace }}
    summary: Costhook hears nothing of the cluster about {{ "{{ $labels.kind }}" }}.
    description: Its watch was begun {{ $long }} ago, which happens every five minutes; edits are not noticed.
{{- if .Values.api.enabled }}
  - alert: CosthookAPIDown
    expr: absent(up{ {{- $api }}, namespace="{{ .Release.Namespace }}"} == 1)
    for: {{ $values.downMinutes }}m
    severity: critical
    namespace: {{ .Release.Namespace }}
    summary: Costhook's API does not answer.
    description: Nobody can read costs, and the alerts on Providers and Channels cannot be judged.
  - alert: CosthookNoSuccessfulSync
    expr: >-
      time() - (
      max by (namespace, provider) (costhook_last_successful_sync_timestamp_seconds{ {{- $api -}} })
      or max by (namespace, provider) (costhook_provider_created_timestamp_seconds{ {{- $api -}} })
      ) > 3600 * {{ $values.syncHours }}
      unless max by (namespace, provider) (costhook_provider_suspended{ {{- $api -}} }) == 1
      unless (
      max by (namespace, provider) (costhook_provider_ready{ {{- $api -}} }) == 1
      unless time() - max by (namespace, provider) (costhook_next_sync_timestamp_seconds{ {{- $api -}} }) > 3600
      )
    for: 15m
    severity: warning
    summary: No sync of {{ $provider }} has succeeded for {{ $long }}.
    description: Its costs grow stale. The condition Ready of the Provider says why.
  - alert: CosthookCompleteThroughStale
    expr: >-
      time() - max by (namespace, provider) (costhook_data_due_timestamp_seconds{ {{- $api -}} })
      > 3600 * {{ $values.staleHours }}
      unless max by (namespace, provider) (costhook_provider_suspended{ {{- $api -}} }) == 1
    for: 15m
    severity: warning
    summary: Figures of {{ $provider }} are {{ $long }} late.
    description: A day is not whole that should be. Budgets and alerts judge whole days only.
  - alert: CosthookCallBudgetNearlySpent
    expr: >-
      max by (namespace, provider) (costhook_call_budget_used_share{ {{- $api -}} })
      >= {{ $values.callBudgetPercent }} / 100
    for: 0s
    severity: info
    summary: >-
      {{ "{{ $value | humanizePercentage }}" }} of the day's call budget of {{ $provider }} is spent.
    description: When it is spent, this Provider is not synced until midnight UTC.
  - alert: CosthookDeadLetters
    expr: >-
      max by (namespace, channel) (costhook_notifications_dead{ {{- $api -}} }) > {{ $values.deadLetters }}
    for: 0s
    severity: critical
    summary: >-
      Messages to the Channel {{ "{{ $labels.namespace }}/{{ $labels.channel }}" }} were given up: {{ "{{ $value }}" }}.
    description: Somebody was not told of an alert on costs. The messages are kept, and can be sent again.
{{- end }}
{{- end -}}
