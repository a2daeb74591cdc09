using Microsoft.AspNetCore.HttpOverrides;

namespace VoicePlatform.Host;

internal static class TrustedProxies
{
    /// <summary>Behind a proxy that TRUSTED_PROXIES names, the address that asks (limits, audit) is the one that the proxy tells; everybody else's word is ignored.</summary>
    public static void UseTrustedProxies(this IApplicationBuilder app, Settings settings)
    {
        if (settings.TrustedProxies.Count == 0)
        {
            return;
        }

        var options = new ForwardedHeadersOptions { ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto, ForwardLimit = null };
        options.KnownProxies.Clear();
        options.KnownIPNetworks.Clear();
        foreach (var network in settings.TrustedProxies)
        {
            options.KnownIPNetworks.Add(network);
        }

        app.UseForwardedHeaders(options);
    }
}
