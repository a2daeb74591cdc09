using System.Security.Cryptography;
using System.Text;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>
/// Answers the challenges one request runs into (RFC 3261, 22). Each realm is answered once, and once more when it says that only the
/// nonce was stale; anything else would repeat a wrong password.
/// </summary>
internal sealed class DigestClient(string? username, string? password)
{
    private const int MaxChallenges = 4;

    private readonly Dictionary<string, (DigestChallenge Challenge, string Header, int Uses, bool WasStale)> _answered = new(StringComparer.Ordinal);

    /// <summary>Takes a 401 or 407. False: there is nothing (more) to answer it with.</summary>
    public bool TryTake(SipResponse response)
    {
        if (username is null || password is null || response.Status is not (401 or 407))
        {
            return false;
        }

        var header = response.Status == 401 ? "Authorization" : "Proxy-Authorization";
        var taken = new HashSet<string>(StringComparer.Ordinal);
        var isNew = false;
        foreach (var text in response.Headers.All(response.Status == 401 ? "WWW-Authenticate" : "Proxy-Authenticate"))
        {
            // The first one understood in each realm is the peer's preference (RFC 8760, 2.4).
            if (!DigestChallenge.TryParse(text, out var challenge) || !taken.Add(challenge.Realm))
            {
                continue;
            }

            var key = header + challenge.Realm;
            var isKnown = _answered.TryGetValue(key, out var before);
            if ((isKnown && (before.WasStale || !challenge.IsStale)) || (!isKnown && _answered.Count == MaxChallenges))
            {
                return false;
            }

            _answered[key] = (challenge, header, 0, isKnown);
            isNew = true;
        }

        return isNew;
    }

    /// <summary>Adds the answers to a request that is about to be sent.</summary>
    public void Authorize(SipRequest request)
    {
        foreach (var (key, (challenge, header, uses, wasStale)) in _answered.ToList())
        {
            _answered[key] = (challenge, header, uses + 1, wasStale);
            request.Headers.Add(header, Answer(challenge, request, uses + 1));
        }
    }

    private string Answer(DigestChallenge challenge, SipRequest request, int uses)
    {
        var nc = uses.ToString("x8");
        var cnonce = RandomNumberGenerator.GetHexString(16, lowercase: true);
        var response = challenge.Response(username!, password!, request.Method, request.RequestUri, request.Body, nc, cnonce);
        var text = new StringBuilder("Digest username=").Append(HeaderText.Quote(username!))
            .Append(", realm=").Append(HeaderText.Quote(challenge.Realm))
            .Append(", nonce=").Append(HeaderText.Quote(challenge.Nonce))
            .Append(", uri=").Append(HeaderText.Quote(request.RequestUri))
            .Append(", response=\"").Append(response).Append('"');
        if (challenge.AlgorithmText is { } algorithm)
        {
            text.Append(", algorithm=").Append(algorithm);
        }

        if (challenge.Opaque is { } opaque)
        {
            text.Append(", opaque=").Append(HeaderText.Quote(opaque));
        }

        if (challenge.Qop is { } qop)
        {
            text.Append(", qop=").Append(qop).Append(", nc=").Append(nc).Append(", cnonce=\"").Append(cnonce).Append('"');
        }
        else if (challenge.Algorithm.EndsWith("-SESS", StringComparison.Ordinal))
        {
            text.Append(", cnonce=\"").Append(cnonce).Append('"');
        }

        return text.ToString();
    }
}
