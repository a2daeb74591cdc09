using System.Runtime.InteropServices;
using VoicePlatform.MediaServer.Transport.Sctp;
using VoicePlatform.MediaServer.Transport.Srtp;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>The system libraries that do DTLS, SRTP and SCTP: found and initialised once per process.</summary>
internal static class NativeLibraries
{
    private static readonly Lock s_gate = new();
    private static bool s_isLoaded;

    /// <exception cref="TransportException">Names the package that is missing.</exception>
    public static void Load()
    {
        lock (s_gate)
        {
            if (s_isLoaded)
            {
                return;
            }

            Require("libssl.so.3", "libssl3");
            Require("libsrtp2.so.1", "libsrtp2-1");
            Require("libusrsctp.so.2", "libusrsctp2");
            if (LibSrtp.srtp_init() != LibSrtp.Ok)
            {
                throw new TransportException("libsrtp2 did not pass its self-test: reinstall the package libsrtp2-1.");
            }

            SctpStack.Start();
            s_isLoaded = true;
        }
    }

    private static void Require(string library, string package)
    {
        if (!NativeLibrary.TryLoad(library, out _))
        {
            throw new TransportException($"The system library {library} is missing: install the package {package}.");
        }
    }
}
