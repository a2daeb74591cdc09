using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks.Probe;

/// <summary>One thing that was looked at, and what came of it in plain words.</summary>
internal sealed record Check(string Name, bool Ok, string Message);

/// <summary>
/// Looks from here whether a trunk could place calls: name, connection, TLS, an answer to SIP OPTIONS, credentials. It stops at the
/// first thing that does not work. No telephone rings.
/// </summary>
internal sealed class TrunkProbe(IMediator mediator, SecretBox box)
{
    private const int SipPort = 5060;
    private const int SipsPort = 5061;
    private static readonly TimeSpan ConnectPatience = TimeSpan.FromSeconds(5);
    private static readonly string[] OurCodecs = ["PCMU/8000", "PCMA/8000", "G722/8000", "OPUS/48000"];

    public async Task<List<Check>> RunAsync(Trunk trunk, CancellationToken ct)
    {
        var checks = new List<Check>();
        if (!SipAddress.TryParse(trunk.Address, out var address))
        {
            return [new("dns", false, "The trunk has no address that can be read.")];
        }

        var transport = trunk.Transport is not Transport.Auto ? trunk.Transport : address.Port == SipsPort ? Transport.Tls : Transport.Udp;
        var target = await ResolveAsync(address, transport, checks, ct);
        if (target is null)
        {
            return checks;
        }

        try
        {
            using var late = CancellationTokenSource.CreateLinkedTokenSource(ct);
            late.CancelAfter(ConnectPatience);
            await using var wire = await SipWire.OpenAsync(target, transport, late.Token);
            checks.Add(new("connect", true, transport is Transport.Udp ? $"UDP to {target}: there is nothing to connect." : $"{target} takes the connection."));
            if (transport is Transport.Tls)
            {
                await wire.SecureAsync(address.Host, late.Token);
                checks.Add(new("tls", true, $"The certificate is valid for {address.Host}."));
            }

            await AskAsync(trunk, address, wire, checks, ct);
        }
        catch (AuthenticationException e)
        {
            checks.Add(new("tls", false, $"The TLS handshake failed: {(e.InnerException ?? e).Message}"));
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            checks.Add(checks.Exists(c => c.Name == "connect")
                ? new("tls", false, "The other side does not answer the TLS handshake: is this its TLS port?")
                : new("connect", false, $"{target} does not answer within {ConnectPatience.TotalSeconds:0} s: a firewall, or not this address."));
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            checks.Add(checks.Exists(c => c.Name == "connect")
                ? new(transport is Transport.Udp ? "options" : "tls", false, $"The connection broke: {e.Message}.")
                : new("connect", false, $"{target} does not take the connection: {e.Message}."));
        }

        return checks;
    }

    private async Task<IPEndPoint?> ResolveAsync(SipAddress address, Transport transport, List<Check> checks, CancellationToken ct)
    {
        IPAddress[] found;
        try
        {
            found = address.Ip is { } ip ? [ip] : await Dns.GetHostAddressesAsync(address.Host, ct);
        }
        catch (SocketException)
        {
            checks.Add(new("dns", false, $"{address.Host} is not a name that can be resolved here."));
            return null;
        }

        foreach (var candidate in found)
        {
            if ((await mediator.Send(new CheckTenantAddress(candidate.ToString()), ct)).Value.Refusal is null)
            {
                checks.Add(new("dns", true, address.Ip is null ? $"{address.Host} is {candidate}." : $"{candidate} is an address."));
                return new(candidate, address.Port ?? (transport is Transport.Tls ? SipsPort : SipPort));
            }
        }

        checks.Add(new("dns", false, $"{address.Host} leads to no address that this installation may reach."));
        return null;
    }

    private async Task AskAsync(Trunk trunk, SipAddress address, SipWire wire, List<Check> checks, CancellationToken ct)
    {
        var callId = Token();
        var uri = $"sip:{address}";
        var answer = await wire.AskAsync(Options(trunk, uri, wire, callId, 1, null), callId, ct);
        if (answer is null)
        {
            checks.Add(new("options", false, "There is no answer to SIP OPTIONS. Some providers answer only addresses that they know: is this one on their list?"));
            return;
        }

        checks.Add(new("options", true, $"The provider answers: {answer.Status} {answer.Reason}."));
        (string Header, string? Value) challenge = answer.Status switch
        {
            401 => ("Authorization", answer.Header("WWW-Authenticate")),
            407 => ("Proxy-Authorization", answer.Header("Proxy-Authenticate")),
            _ => ("", null),
        };
        if (challenge.Value is null)
        {
            checks.Add(answer.Status is 403
                ? new("credentials", false, "The provider forbids it: this address, or this trunk, is not on its list.")
                : new("credentials", true, "The provider did not ask for credentials here; whether a call needs them shows with the first call."));
        }
        else if (trunk.AuthPassword is not { } sealedPassword)
        {
            checks.Add(new("credentials", false, "The provider asks for a user name and password, and the trunk has none."));
        }
        else if (SipDigest.Answer(challenge.Value, "OPTIONS", uri, trunk.AuthUsername, box.Open(sealedPassword, trunk.Id), Token()) is { } credentials)
        {
            answer = await wire.AskAsync(Options(trunk, uri, wire, callId, 2, $"{challenge.Header}: {credentials}\r\n"), callId, ct);
            checks.Add(answer is null or { Status: 401 or 403 or 407 }
                ? new("credentials", false, $"The provider refuses user name and password{(answer is null ? "" : $" ({answer.Status} {answer.Reason})")}.")
                : new("credentials", true, "The provider takes user name and password."));
        }
        else
        {
            checks.Add(new("credentials", false, "The provider asks for credentials in a way that is not known here."));
        }

        checks.Add(CodecsOf(answer));
    }

    private static Check CodecsOf(SipAnswer? answer)
    {
        if (answer?.Body.Contains("m=audio", StringComparison.Ordinal) is not true)
        {
            return new("codec", true, "The provider does not say which codecs it has; G.711, G.722 and Opus will be offered.");
        }

        var formats = answer.Body.Split('\n').FirstOrDefault(l => l.StartsWith("m=audio", StringComparison.Ordinal))?.Trim().Split(' ').Skip(3).ToHashSet() ?? [];
        var common = OurCodecs.Where(c => answer.Body.Contains(c, StringComparison.OrdinalIgnoreCase))
            .Concat(formats.Contains("0") ? ["PCMU/8000"] : []).Concat(formats.Contains("8") ? ["PCMA/8000"] : []).Concat(formats.Contains("9") ? ["G722/8000"] : [])
            .Distinct().ToList();
        return common.Count > 0
            ? new("codec", true, $"Both sides have {string.Join(", ", common)}.")
            : new("codec", false, "The provider has no codec that is here (G.711, G.722, Opus).");
    }

    private static string Options(Trunk trunk, string uri, SipWire wire, string callId, int sequence, string? credentials)
    {
        var from = trunk.Numbers.FirstOrDefault() ?? "probe";
        return $"OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/{wire.Via} {wire.Local};branch=z9hG4bK{Token()};rport\r\nMax-Forwards: 70\r\n"
            + $"From: <sip:{from}@{wire.Local.Address}>;tag={Token()}\r\nTo: <{uri}>\r\nCall-ID: {callId}\r\nCSeq: {sequence} OPTIONS\r\n"
            + $"Contact: <sip:{from}@{wire.Local}>\r\nAccept: application/sdp\r\nUser-Agent: VoicePlatform\r\n{credentials}Content-Length: 0\r\n\r\n";
    }

    private static string Token() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
}
