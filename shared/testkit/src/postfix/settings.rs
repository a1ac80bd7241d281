//! The settings of an instance: `main.cf` and `master.cf`.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use super::attendant::{GREYLIST, LOGIN};
use super::certificate::Certificate;
use super::{Addresses, run};

/// The address whose mail is refused.
pub(super) const REFUSED: &str = "refused@example.org";
/// The address whose first mail is put off.
pub(super) const GREYLISTED: &str = "greylisted@example.org";
/// Who may log in.
pub(super) const USERNAME: &str = "carepost";
pub(super) const PASSWORD: &str = "a password of many words";
/// The one mailbox (a maildir), in the instance's folder.
pub(super) const MAILBOX: &str = "mail/all";
/// Debian's `nobody` and `nogroup`, who own the mailbox.
const NOBODY: u32 = 65_534;

/// Writes all that a start needs into the folder.
pub(super) fn write(folder: &Path, addresses: Addresses, certificate: &Certificate) -> io::Result<()> {
    for name in ["config", "queue", "data", "mail"] {
        fs::create_dir(folder.join(name))?;
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755))?;
    }
    chown(folder.join("mail"), Some(NOBODY), Some(NOBODY))?;
    let mut own = Command::new("chown");
    run(
        own.arg("postfix:").arg(folder.join("data")),
        &folder.join("commands.log"),
    )?;
    let chain = folder.join("config/chain.pem");
    fs::write(&chain, "")?;
    fs::set_permissions(&chain, fs::Permissions::from_mode(0o600))?;
    fs::write(&chain, &certificate.chain_pem)?;
    fs::write(folder.join("config/main.cf"), main_cf(folder))?;
    fs::write(folder.join("config/master.cf"), master_cf(addresses))
}

/// No domain is known but the virtual one; every other way ends in an error, and nothing is looked up in the DNS.
fn main_cf(folder: &Path) -> String {
    format!(
        "compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mail.example.org
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
mydestination =
relay_domains =
alias_maps =
alias_database =
local_recipient_maps =
local_transport = error:5.1.1 nobody is local
default_transport = error:5.7.1 nothing leaves this machine
relay_transport = error:5.7.1 nothing leaves this machine
disable_dns_lookups = yes
notify_classes =
virtual_mailbox_domains = example.org
virtual_mailbox_base = {folder}
virtual_mailbox_maps = static:{MAILBOX}/
virtual_uid_maps = static:{NOBODY}
virtual_gid_maps = static:{NOBODY}
virtual_transport = virtual
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions =
    check_recipient_access inline:{{{{{REFUSED} = 550 5.7.1 this mailbox takes no mail}}}}
    check_policy_service unix:{folder}/{GREYLIST}
smtpd_sasl_type = dovecot
smtpd_sasl_path = {folder}/{LOGIN}
smtpd_tls_security_level = encrypt
smtpd_tls_chain_files = {folder}/config/chain.pem
smtpd_tls_loglevel = 1
",
        folder = folder.display(),
    )
}

/// The parts of postfix that are run. Its clients (smtp, lmtp, relay) are not among them.
fn master_cf(addresses: Addresses) -> String {
    let Addresses { starttls, tls, login } = addresses;
    format!(
        "# service type private unprivileged chroot wakeup most command
{starttls} inet n - n - - smtpd
{tls} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
{login} inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"
    )
}
