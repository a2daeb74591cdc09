using System.Security.Cryptography;
using System.Text;

namespace VoicePlatform.MediaServer.Transport.Ice;

/// <summary>Our half of an ICE session: what the client's checks are addressed to and authenticated with.</summary>
internal sealed class IceCredentials
{
    private const string IceCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    private const int UfragLength = 8;
    private const int PasswordLength = 32;

    public IceCredentials(string remoteUfrag)
    {
        Ufrag = RandomNumberGenerator.GetString(IceCharacters, UfragLength);
        Password = RandomNumberGenerator.GetString(IceCharacters, PasswordLength);
        PasswordBytes = Encoding.ASCII.GetBytes(Password);
        RemoteUfrag = Encoding.ASCII.GetBytes(remoteUfrag);
        Key = KeyOf(Encoding.ASCII.GetBytes(Ufrag));
    }

    public string Ufrag { get; }

    public string Password { get; }

    public byte[] PasswordBytes { get; }

    public byte[] RemoteUfrag { get; }

    /// <summary>Our ufrag as a number: the key under which the receive thread finds the peer without allocating.</summary>
    public ulong Key { get; }

    /// <summary>Splits a STUN user name into the key of our ufrag and the client's; false when it is not of our making.</summary>
    public static bool TryParse(ReadOnlySpan<byte> username, out ulong key, out ReadOnlySpan<byte> remoteUfrag)
    {
        key = 0;
        remoteUfrag = default;
        if (username.Length < UfragLength + 2 || username[UfragLength] != ':')
        {
            return false;
        }

        key = KeyOf(username[..UfragLength]);
        remoteUfrag = username[(UfragLength + 1)..];
        return true;
    }

    private static ulong KeyOf(ReadOnlySpan<byte> ufrag) => BitConverter.ToUInt64(ufrag);
}
