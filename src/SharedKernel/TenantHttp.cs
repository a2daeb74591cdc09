namespace VoicePlatform.SharedKernel;

/// <summary>
/// The one HttpClient for addresses that tenants give (IHttpClientFactory, by this name): every connection it makes is guarded against private
/// addresses, and it follows no redirect. The Tenant module registers it.
/// </summary>
public static class TenantHttp
{
    public const string Client = "tenant-servers";
}
