using System.Security.Cryptography;
using System.Text;

namespace VoicePlatform.SharedKernel;

/// <summary>
/// Encrypts secrets at rest with AES-256-GCM. What a secret belongs to is bound in as associated data, so that a ciphertext
/// moved to another row does not open. Layout: version 1, key id (4), nonce (12), tag (16), ciphertext.
/// </summary>
public sealed class SecretBox
{
    private const byte Version = 1;
    private const int KeyIdLength = 4, NonceLength = 12, TagLength = 16, HeaderLength = 1 + KeyIdLength + NonceLength + TagLength;

    private readonly List<(byte[] Id, byte[] Key)> _keys;

    /// <param name="current">SECRETS_KEY: any text with at least 32 characters.</param>
    /// <param name="previous">SECRETS_KEY_PREVIOUS while rotating: only opens.</param>
    public SecretBox(string current, string? previous = null) =>
        _keys = new[] { current, previous }.Where(k => !string.IsNullOrEmpty(k)).Select(k => Derive(k!)).ToList();

    /// <summary>Whether it was sealed with the key that seals now, and not with the one before.</summary>
    public bool IsCurrent(ReadOnlySpan<byte> box) => box.Length >= HeaderLength && box.Slice(1, KeyIdLength).SequenceEqual(_keys[0].Id);

    /// <summary>A key is being replaced: what was sealed before opens still, and is to be sealed again.</summary>
    public bool IsRotating => _keys.Count > 1;

    public byte[] Seal(string secret, string belongsTo)
    {
        var plain = Encoding.UTF8.GetBytes(secret);
        var box = new byte[HeaderLength + plain.Length];
        box[0] = Version;
        _keys[0].Id.CopyTo(box, 1);
        var nonce = box.AsSpan(1 + KeyIdLength, NonceLength);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(_keys[0].Key, TagLength);
        aes.Encrypt(nonce, plain, box.AsSpan(HeaderLength), box.AsSpan(1 + KeyIdLength + NonceLength, TagLength), Encoding.UTF8.GetBytes(belongsTo));
        return box;
    }

    /// <exception cref="CryptographicException">Sealed with another key, for another owner, or damaged.</exception>
    public string Open(ReadOnlySpan<byte> box, string belongsTo)
    {
        if (box.Length < HeaderLength || box[0] != Version)
        {
            throw new CryptographicException("Not a sealed secret.");
        }

        foreach (var (id, key) in _keys)
        {
            if (box.Slice(1, KeyIdLength).SequenceEqual(id))
            {
                var plain = new byte[box.Length - HeaderLength];
                using var aes = new AesGcm(key, TagLength);
                aes.Decrypt(
                    box.Slice(1 + KeyIdLength, NonceLength), box[HeaderLength..], box.Slice(1 + KeyIdLength + NonceLength, TagLength), plain, Encoding.UTF8.GetBytes(belongsTo));
                return Encoding.UTF8.GetString(plain);
            }
        }

        throw new CryptographicException("The secret was sealed with a key that is neither SECRETS_KEY nor SECRETS_KEY_PREVIOUS.");
    }

    private static (byte[] Id, byte[] Key) Derive(string text)
    {
        var material = Encoding.UTF8.GetBytes(text);
        return (
            HKDF.DeriveKey(HashAlgorithmName.SHA256, material, KeyIdLength, info: "voiceplatform secret key id"u8.ToArray()),
            HKDF.DeriveKey(HashAlgorithmName.SHA256, material, 32, info: "voiceplatform secret box"u8.ToArray()));
    }
}
