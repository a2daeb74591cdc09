using System.Net.Mail;

namespace VoicePlatform.Tenants.Mail;

/// <summary>The SMTP server that mail goes out by; without SMTP_HOST there is no mail.</summary>
internal sealed class MailOptions
{
    /// <summary>SMTP_HOST; null: no mail is sent.</summary>
    public string? Host { get; private set; }

    /// <summary>SMTP_PORT, 587 by default. There TLS is asked for always, elsewhere where the server offers it.</summary>
    public int Port { get; private set; }

    public string? User { get; private set; }

    public string? Password { get; private set; }

    /// <summary>FROM_EMAIL and FROM_NAME.</summary>
    public MailAddress? From { get; private set; }

    public void Read(IConfiguration configuration)
    {
        Host = Text("SMTP_HOST");
        if (Host is null)
        {
            return;
        }

        Port = int.TryParse(Text("SMTP_PORT") ?? "587", out var port) && port is > 0 and < 65536
            ? port
            : throw new InvalidOperationException($"SMTP_PORT is '{Text("SMTP_PORT")}'; set it to a port, 587 in most cases.");
        if (Port == 465)
        {
            throw new InvalidOperationException("SMTP_PORT is 465, where TLS begins before SMTP does; set it to 587, where the same servers take STARTTLS.");
        }

        (User, Password) = (Text("SMTP_USER"), Text("SMTP_PASSWORD"));
        if ((User is null) != (Password is null))
        {
            throw new InvalidOperationException("SMTP_USER and SMTP_PASSWORD belong together: set both or neither.");
        }

        From = MailAddress.TryCreate(Text("FROM_EMAIL"), Text("FROM_NAME"), out var from)
            ? from
            : throw new InvalidOperationException("SMTP_HOST is set, so FROM_EMAIL must be an address that mail may come from.");

        string? Text(string name) => configuration[name] is { Length: > 0 } value ? value : null;
    }
}
