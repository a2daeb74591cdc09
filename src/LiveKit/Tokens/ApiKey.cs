namespace VoicePlatform.LiveKit.Tokens;

/// <summary>A LiveKit API key and the secret that signs tokens in its name.</summary>
/// <param name="Id">The key's public name, e.g. <c>APIabc</c>; the <c>iss</c> claim.</param>
/// <param name="Secret">The HMAC secret. Never logged.</param>
public sealed record ApiKey(string Id, string Secret)
{
    public override string ToString() => Id;
}
