{{- define "soapstone.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- define "soapstone.selectorLabels" -}}
app.kubernetes.io/name: soapstone
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end }}

{{- define "soapstone.ownLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "soapstone.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: soapstone
{{- end }}

{{/* The chart's own labels win: objects find each other by them, and no key may stand twice. */}}
{{- define "soapstone.labels" -}}
{{ toYaml (merge (include "soapstone.ownLabels" . | fromYaml) .Values.commonLabels) }}
{{- end }}

{{- define "soapstone.podLabels" -}}
{{ toYaml (merge (include "soapstone.labels" . | fromYaml) .Values.podLabels) }}
{{- end }}

{{- define "soapstone.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "soapstone.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "soapstone.image" -}}
{{- $image := .Values.image -}}
{{- $name := $image.repository -}}
{{- if $image.registry }}{{ $name = printf "%s/%s" $image.registry $name }}{{ end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end }}

{{/* What the controller may do with the objects of jobs. It creates secrets, and neither reads nor deletes one: each goes with the
     ControllerRevision of its attempt. */}}
{{- define "soapstone.jobRules" -}}
- apiGroups: [soapstone.dev]
  resources: [trainingjobs]
  verbs: [get, list, watch, delete]
- apiGroups: [soapstone.dev]
  resources: [trainingjobs/status]
  verbs: [patch]
- apiGroups: ['']
  resources: [pods]
  verbs: [get, list, watch, create, delete, patch]
{{- if or .Values.config.inspectPods .Values.config.profilePods }}
- apiGroups: ['']
  resources: [pods/log]
  verbs: [get]
{{- end }}
- apiGroups: ['']
  resources: [configmaps]
  verbs: [get, create, patch]
- apiGroups: ['']
  resources: [services]
  verbs: [get, create, patch]
- apiGroups: ['']
  resources: [secrets]
  verbs: [create]
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, create, delete]
- apiGroups: [resource.k8s.io]
  resources: [resourceclaims]
  verbs: [get, list, watch]
{{- if .Values.rbac.queues }}
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads]
  verbs: [delete]
{{- end }}
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, create, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}
