namespace VoicePlatform.Contracts.Tenants;

/// <summary>
/// Sends a mail in plain text after the transaction has committed, and tries for a day. Dropped, with a line in the log, where no SMTP server is set.
/// </summary>
/// <param name="To">One address.</param>
/// <param name="Subject">One line.</param>
public sealed record SendMail(string TenantId, string To, string Subject, string Text) : ICommand<Done>;

/// <summary>The same to whom the tenant wants such mail to go: its contact address, or else its owners and admins.</summary>
public sealed record MailContacts(string TenantId, string Subject, string Text) : ICommand<Done>;
