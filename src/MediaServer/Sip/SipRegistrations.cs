using System.Text.Json;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.MediaServer.Sip;

/// <summary>
/// Keeps this server registered (REGISTER) where a provider sends calls only to who is: at the address of every outbound trunk whose
/// metadata is a JSON object with <c>"sip_register": true</c>, with the trunk's username and password. LiveKit's API has no field for it.
/// </summary>
internal sealed partial class SipRegistrations(UserAgent agent, ILogger log) : IAsyncDisposable
{
    private readonly Dictionary<string, (SIPOutboundTrunkInfo Trunk, Registration Registration)> _kept = new(StringComparer.Ordinal);
    private readonly Lock _changing = new();      // guards _kept
    private readonly List<Task> _leaving = [];

    /// <summary>How each registered trunk stands, by its id.</summary>
    public IReadOnlyDictionary<string, (RegistrationState State, string? Error)> States
    {
        get
        {
            lock (_changing)
            {
                return _kept.ToDictionary(kept => kept.Key, kept => (kept.Value.Registration.State, kept.Value.Registration.LastError), StringComparer.Ordinal);
            }
        }
    }

    /// <summary>Brings the registrations in line with the trunks there are.</summary>
    /// <param name="trunks">Asked in turn with other callers, so that none undoes with an older list what a newer one brought.</param>
    public void Follow(Func<IEnumerable<SIPOutboundTrunkInfo>> trunks)
    {
        lock (_changing)
        {
            var wanted = trunks().Where(IsWanted).ToDictionary(trunk => trunk.SipTrunkId, StringComparer.Ordinal);
            foreach (var (id, kept) in _kept.ToList())
            {
                if (!wanted.TryGetValue(id, out var trunk) || !IsSame(trunk, kept.Trunk))
                {
                    _kept.Remove(id);
                    _leaving.RemoveAll(task => task.IsCompleted);
                    _leaving.Add(kept.Registration.DisposeAsync().AsTask());
                }
            }

            foreach (var (id, trunk) in wanted.Where(w => !_kept.ContainsKey(w.Key)))
            {
                if (SipUri.TryParseHost(trunk.Address, out var registrar))
                {
                    _kept[id] = (trunk, agent.Register(new RegistrationOptions
                    {
                        Registrar = registrar,
                        Transport = MediaTerms.Of(trunk.Transport),
                        User = trunk.AuthUsername,
                        AuthUsername = trunk.AuthUsername,
                        AuthPassword = trunk.AuthPassword,
                        Domain = trunk.FromHost.Length > 0 ? trunk.FromHost : null,
                    }));
                    LogRegistering(log, id);
                }
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        Follow(() => []);
        await Task.WhenAll(_leaving).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private static bool IsWanted(SIPOutboundTrunkInfo trunk)
    {
        if (trunk.AuthUsername.Length == 0 || !trunk.Metadata.Contains("sip_register", StringComparison.Ordinal))
        {
            return false;
        }

        try
        {
            using var metadata = JsonDocument.Parse(trunk.Metadata);
            return metadata.RootElement.ValueKind is JsonValueKind.Object
                && metadata.RootElement.TryGetProperty("sip_register", out var wish) && wish.ValueKind is JsonValueKind.True;
        }
        catch (JsonException)
        {
            return false;     // Metadata is the owner's; not all of it is JSON.
        }
    }

    private static bool IsSame(SIPOutboundTrunkInfo one, SIPOutboundTrunkInfo other) =>
        (one.Address, one.Transport, one.AuthUsername, one.AuthPassword, one.FromHost) == (other.Address, other.Transport, other.AuthUsername, other.AuthPassword, other.FromHost);

    [LoggerMessage(Level = LogLevel.Information, Message = "Trunk {TrunkId} is registered at its provider from now on")]
    private static partial void LogRegistering(ILogger log, string trunkId);
}
