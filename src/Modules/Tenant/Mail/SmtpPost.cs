using System.Net;
using System.Net.Mail;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Options;

namespace VoicePlatform.Tenants.Mail;

/// <summary>Hands one mail to the SMTP server. Over TLS where it can be had, and with a password never without (but to this machine itself).</summary>
internal sealed class SmtpPost(IOptions<MailOptions> options, TimeProvider clock)
{
    private const int SubmissionPort = 587;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <exception cref="SmtpException">The server refused it, or does not answer.</exception>
    public async Task SendAsync(string to, string subject, string text, CancellationToken ct)
    {
        using var late = new CancellationTokenSource(Patience, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
        var server = options.Value;
        try
        {
            var tls = server.Port == SubmissionPort || await OffersTlsAsync(server, either.Token);
            if (!tls && server.User is not null && !await IsThisMachineAsync(server.Host!, either.Token))
            {
                throw new SmtpException("The server offers no TLS, and the password is not sent without it.");
            }

            using var client = new SmtpClient(server.Host, server.Port) { EnableSsl = tls };
            if (server.User is not null)
            {
                client.Credentials = new NetworkCredential(server.User, server.Password);
            }

            using var mail = new MailMessage(server.From!, new MailAddress(to))
            {
                Subject = subject, SubjectEncoding = Encoding.UTF8, Body = text, BodyEncoding = Encoding.UTF8, IsBodyHtml = false,
            };
            await client.SendMailAsync(mail, either.Token);
        }
        catch (Exception e) when (e is SocketException or IOException || (e is OperationCanceledException && !ct.IsCancellationRequested))
        {
            throw new SmtpException("The mail server does not answer.", e);
        }
    }

    /// <summary>SmtpClient can only be told to use STARTTLS, not to find out.</summary>
    private static async Task<bool> OffersTlsAsync(MailOptions server, CancellationToken ct)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(server.Host!, server.Port, ct);
        await using var stream = socket.GetStream();
        using var reader = new StreamReader(stream, Encoding.ASCII);
        await ReadReplyAsync(reader, ct);
        await stream.WriteAsync(Encoding.ASCII.GetBytes("EHLO voiceplatform\r\n"), ct);
        var offers = (await ReadReplyAsync(reader, ct)).Any(line => line.Length > 4 && line[4..].Trim().Equals("STARTTLS", StringComparison.OrdinalIgnoreCase));
        await stream.WriteAsync(Encoding.ASCII.GetBytes("QUIT\r\n"), ct);
        return offers;
    }

    /// <summary>"250-" goes on, "250 " is the last line.</summary>
    private static async Task<List<string>> ReadReplyAsync(StreamReader reader, CancellationToken ct)
    {
        const int most = 100;
        var lines = new List<string>();
        while (lines.Count < most && await reader.ReadLineAsync(ct) is { } line)
        {
            lines.Add(line);
            if (line.Length < 4 || line[3] != '-')
            {
                break;
            }
        }

        return lines;
    }

    private static async Task<bool> IsThisMachineAsync(string host, CancellationToken ct) =>
        (await Dns.GetHostAddressesAsync(host, ct)).All(IPAddress.IsLoopback);
}
